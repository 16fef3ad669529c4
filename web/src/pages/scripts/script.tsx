import { Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { api, versioned } from '~/api/client'
import { keys } from '~/api/queries'
import { ErrorNote } from '~/ui/error-note'
import { Page } from '~/ui/page'
import { ScriptForm } from './script-form'

const route = getRouteApi('/inside/scripts/$scriptId')

export default function ScriptPage() {
  const { scriptId } = route.useParams()
  const fresh = scriptId === 'new'
  const asked = useQuery({
    queryKey: [...keys.scripts, scriptId],
    queryFn: () => versioned(api.GET('/api/scripts/{id}', { params: { path: { id: scriptId } } })),
    enabled: !fresh,
    // What is being edited is not replaced under the hands; the version tells of changes at the save.
    refetchOnWindowFocus: false,
    staleTime: 0,
    gcTime: 0,
  })
  if (fresh) return <ScriptForm key="new" script={null} etag={null} />
  if (asked.data)
    return <ScriptForm key={scriptId} script={asked.data.value} etag={asked.data.etag} />
  return (
    <Page title="Script">
      <ErrorNote error={asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={300} />}
    </Page>
  )
}
