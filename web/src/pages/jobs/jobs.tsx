import { Button } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useMemo, useState } from 'react'
import { alsoAsk, api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys } from '~/api/queries'
import { usePolling } from '~/components/live-line'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link } from '~/ui/link'
import { Page } from '~/ui/page'
import { Time } from '~/ui/time'
import { plain } from '~/util/untrusted'
import { scriptName } from './command-grid'
import { JobProgress } from './progress'
import { WorkTabs } from './work-tabs'

const NewJob = lazy(() => import('./new-job'))

type Job = Schemas['Job']

const COLUMNS: GridColumn<Job>[] = [
  {
    id: 'name',
    header: 'Name',
    width: 'minmax(160px, 1.5fr)',
    cell: job => (
      <Link to="/jobs/$jobId" params={{ jobId: job.id }} fw={600} tabIndex={-1}>
        {job.name}
      </Link>
    ),
  },
  {
    id: 'command',
    header: 'Command',
    width: 'minmax(160px, 2fr)',
    cell: job => <code>{plain(scriptName(job) ?? job.command, 160)}</code>,
  },
  {
    id: 'progress',
    header: 'Progress',
    width: 'minmax(240px, 2fr)',
    cell: job => <JobProgress progress={job.progress} />,
  },
  { id: 'given', header: 'Given', width: '110px', cell: job => <Time at={job.created_at} /> },
]

export default function JobsPage() {
  const navigate = useNavigate()
  const [adding, setAdding] = useState(false)
  const mayNot = useHindrance('runJob')
  const list = useInfiniteQuery({
    queryKey: [...keys.jobs, 'list'],
    queryFn: ({ pageParam }) =>
      body(api.GET('/api/jobs', { params: { query: alsoAsk({ limit: 100, cursor: pageParam }) } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: page => page.next_cursor ?? undefined,
    refetchInterval: usePolling(5000),
  })
  const rows = useMemo(() => list.data?.pages.flatMap(page => page.items as Job[]), [list.data])
  return (
    <Page
      title="Jobs"
      fill
      heading={<WorkTabs />}
      actions={!mayNot && <Button onClick={() => setAdding(true)}>Run a job</Button>}
    >
      <Grid
        label="Jobs"
        columns={COLUMNS}
        rows={rows}
        rowKey={jobKey}
        onOpen={({ id }) => void navigate({ to: '/jobs/$jobId', params: { jobId: id } })}
        error={list.error}
        retry={() => void list.refetch()}
        more={{
          has: list.hasNextPage,
          busy: list.isFetchingNextPage,
          fetch: () => void list.fetchNextPage(),
        }}
        empty={
          <Empty
            title="No jobs yet"
            text="A job runs one command or script on many devices. Choose them in the list of devices, or by client and site here."
          />
        }
      />
      <Suspense>{adding && <NewJob onClose={() => setAdding(false)} />}</Suspense>
    </Page>
  )
}

const jobKey = (job: Job) => job.id
