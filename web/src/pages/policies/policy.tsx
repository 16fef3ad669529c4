import { Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { api, versioned } from '~/api/client'
import { keys } from '~/api/queries'
import { ErrorNote } from '~/ui/error-note'
import { Page } from '~/ui/page'
import { PolicyForm } from './policy-form'

const route = getRouteApi('/inside/policies/$policyId')

export default function PolicyPage() {
  const { policyId } = route.useParams()
  const { level, target } = route.useSearch()
  const fresh = policyId === 'new'
  const asked = useQuery({
    queryKey: [...keys.policies, policyId],
    queryFn: () => versioned(api.GET('/api/policies/{id}', { params: { path: { id: policyId } } })),
    enabled: !fresh,
    // What is being edited is not replaced under the hands; the version tells of changes at the save.
    refetchOnWindowFocus: false,
    staleTime: 0,
    gcTime: 0,
  })
  if (fresh) return <PolicyForm key="new" policy={null} etag={null} level={level} target={target} />
  if (asked.data)
    return <PolicyForm key={policyId} policy={asked.data.value} etag={asked.data.etag} />
  return (
    <Page title="Policy">
      <ErrorNote error={asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={300} />}
    </Page>
  )
}
