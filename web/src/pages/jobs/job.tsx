import { Button, Group, Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link as RouterLink } from '@tanstack/react-router'
import { useMemo } from 'react'
import { hindrance } from '~/api/actions'
import { api, body } from '~/api/client'
import { useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { usePolling } from '~/components/live-line'
import { typeName } from '~/components/run-dialog/command-types'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Page } from '~/ui/page'
import { TabLinks, tab } from '~/ui/tab-links'
import { Time } from '~/ui/time'
import { failed, told } from '~/ui/toast'
import { plural, words } from '~/util/format'
import { output } from '~/util/untrusted'
import { CommandGrid } from './command-grid'
import { JobProgress } from './progress'

const route = getRouteApi('/inside/jobs/$jobId')
const PARTS = [
  ['', 'All'],
  ['pending', 'Waiting'],
  ['running', 'Running'],
  ['completed', 'Completed'],
  ['failed', 'Failed'],
] as const

export default function JobPage() {
  const { jobId } = route.useParams()
  const { status } = route.useSearch()
  const user = useUser()
  const asked = useQuery({
    queryKey: keys.job(jobId),
    queryFn: () => body(api.GET('/api/jobs/{id}', { params: { path: { id: jobId } } })),
    refetchInterval: usePolling(2000),
  })
  const job = asked.data
  const filter = useMemo(() => ({ job_id: jobId, status }), [jobId, status])
  const again = () => {
    void queries.invalidateQueries({ queryKey: keys.job(jobId) })
    void queries.invalidateQueries({ queryKey: keys.commands })
  }
  const cancel = () =>
    confirm({
      title: 'Cancel this job?',
      text: 'What waits is never sent. What runs is told to end.',
      verb: 'Cancel the job',
      danger: true,
      act: async () => {
        await body(api.POST('/api/jobs/{id}/cancel', { params: { path: { id: jobId } } }))
        again()
      },
    })
  const retry = async () => {
    try {
      const { retried, refused } = await body(
        api.POST('/api/jobs/{id}/retry', { params: { path: { id: jobId } } }),
      )
      told(
        `Given again to ${plural(retried, 'device')}${refused ? `, refused for ${refused}` : ''}`,
      )
      again()
    } catch (error) {
      failed(error, 'The job was not given again')
    }
  }
  return (
    <Page
      title={job?.name ?? 'Job'}
      fill
      actions={
        job && (
          <>
            {!hindrance('retryJob', user, job) && (
              <Button variant="default" onClick={() => void retry()}>
                Retry what failed
              </Button>
            )}
            {!hindrance('cancelJob', user, job) && (
              <Button variant="default" onClick={cancel}>
                Cancel
              </Button>
            )}
          </>
        )
      }
    >
      <ErrorNote error={job ? null : asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={60} />}
      {job && (
        <Stack gap="xs">
          <Group gap="md">
            <JobProgress progress={job.progress} wide />
            <Text size="xs" c="dimmed">
              {typeName(job.command_type)} · time-out {job.timeout_seconds} s · given{' '}
              <Time at={job.created_at} />
            </Text>
          </Group>
          <pre className="output" style={{ maxHeight: 120 }}>
            {output(job.command)}
          </pre>
          {Object.keys(job.progress.reasons).length > 0 && (
            <Text size="sm">
              Failed because:{' '}
              {Object.entries(job.progress.reasons)
                .map(([reason, count]) => `${words(reason)} (${count})`)
                .join(', ')}
            </Text>
          )}
        </Stack>
      )}
      <TabLinks label="State of the commands">
        {PARTS.map(([value, name]) => (
          <RouterLink
            key={value}
            className={tab.className}
            data-active={(status ?? '') === value || undefined}
            aria-current={(status ?? '') === value ? 'page' : undefined}
            to="/jobs/$jobId"
            params={{ jobId }}
            search={{ status: value || undefined }}
          >
            {name}
          </RouterLink>
        ))}
      </TabLinks>
      <CommandGrid filter={filter} empty="None in this state." />
    </Page>
  )
}
