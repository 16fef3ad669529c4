import { Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { api, versioned } from '~/api/client'
import { keys } from '~/api/queries'
import { ErrorNote } from '~/ui/error-note'
import { Page } from '~/ui/page'
import { ScheduleForm } from './schedule-form'

const route = getRouteApi('/inside/schedules/$scheduleId')

export default function SchedulePage() {
  const { scheduleId } = route.useParams()
  const fresh = scheduleId === 'new'
  const asked = useQuery({
    queryKey: [...keys.schedules, scheduleId],
    queryFn: () =>
      versioned(api.GET('/api/schedules/{id}', { params: { path: { id: scheduleId } } })),
    enabled: !fresh,
    // What is being edited is not replaced under the hands; the version tells of changes at the save.
    refetchOnWindowFocus: false,
    staleTime: 0,
    gcTime: 0,
  })
  if (fresh) return <ScheduleForm key="new" schedule={null} etag={null} />
  if (asked.data)
    return <ScheduleForm key={scheduleId} schedule={asked.data.value} etag={asked.data.etag} />
  return (
    <Page title="Schedule">
      <ErrorNote error={asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={300} />}
    </Page>
  )
}
