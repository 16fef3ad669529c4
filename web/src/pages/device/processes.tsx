import { Button, Group } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { SessionGate } from '~/components/session-gate'
import { confirm } from '~/ui/confirm'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { SearchBox } from '~/ui/search-box'
import { told } from '~/ui/toast'
import { bytes } from '~/util/format'
import { plain } from '~/util/untrusted'
import { useDevice } from './use-device'

type Process = Schemas['ProcessInfo']

const route = getRouteApi('/inside/devices/$agentId/processes')

export default function ProcessesPage() {
  const { agentId } = route.useParams()
  const agent = useDevice(agentId).data
  if (!agent) return null
  return (
    <SessionGate agent={agent} what="processes">
      {sessionId => <Processes agentId={agentId} sessionId={sessionId} />}
    </SessionGate>
  )
}

const ORDERS: Record<string, (a: Process, b: Process) => number> = {
  cpu: (a, b) => (a.cpu_percent ?? 0) - (b.cpu_percent ?? 0),
  memory: (a, b) => a.memory - b.memory,
  name: (a, b) => a.name.localeCompare(b.name),
  pid: (a, b) => a.pid - b.pid,
  user: (a, b) => (a.user ?? '').localeCompare(b.user ?? ''),
}

function ordered(processes: Process[], sort: string): Process[] {
  const down = sort.startsWith('-')
  const order = ORDERS[down ? sort.slice(1) : sort] ?? ORDERS.pid
  return processes.toSorted((a, b) => (order?.(a, b) ?? 0) * (down ? -1 : 1))
}

function Processes({ agentId, sessionId }: { agentId: string; sessionId: string }) {
  const { q = '', sort = '-cpu' } = route.useSearch()
  const navigate = useNavigate()
  const processes = useQuery({
    queryKey: ['processes', sessionId],
    queryFn: () =>
      body(
        api.GET('/api/v1/tunnel/{session_id}/processes', {
          params: { path: { session_id: sessionId } },
        }),
      ),
    refetchInterval: 5000,
  })
  const rows = useMemo(() => {
    const wanted = q.toLowerCase()
    const fit = (processes.data?.items as Process[] | undefined)?.filter(one =>
      `${one.pid} ${one.name} ${one.command ?? ''} ${one.user ?? ''}`
        .toLowerCase()
        .includes(wanted),
    )
    return fit && ordered(fit, sort)
  }, [processes.data, q, sort])
  const change = useCallback(
    (change: { q?: string; sort?: string }) =>
      void navigate({
        to: '/devices/$agentId/processes',
        params: { agentId },
        search: { q: q || undefined, sort, ...change },
        replace: true,
      }),
    [navigate, agentId, q, sort],
  )
  const search = useCallback((q: string) => change({ q: q || undefined }), [change])
  const kill = (process: Process) =>
    confirm({
      title: `End ${plain(process.name, 60)} (${process.pid})?`,
      text: 'It is killed at once; what it has not saved is lost.',
      verb: 'End process',
      danger: true,
      act: async () => {
        await body(
          api.POST('/api/v1/tunnel/{session_id}/processes/{pid}/kill', {
            params: { path: { session_id: sessionId, pid: process.pid } },
            body: { started: process.started },
          }),
        )
        told(`${plain(process.name, 60)} (${process.pid}) was ended`)
        void processes.refetch()
      },
    })
  const columns: GridColumn<Process>[] = [
    { id: 'pid', header: 'PID', width: '80px', sort: 'pid', end: true, cell: one => one.pid },
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(140px, 1fr)',
      sort: 'name',
      cell: one => <strong>{plain(one.name, 80)}</strong>,
    },
    { id: 'user', header: 'User', width: '120px', sort: 'user', cell: one => plain(one.user, 40) },
    {
      id: 'cpu',
      header: 'CPU',
      width: '80px',
      sort: 'cpu',
      end: true,
      cell: one => `${(one.cpu_percent ?? 0).toFixed(1)} %`,
    },
    {
      id: 'memory',
      header: 'Memory',
      width: '96px',
      sort: 'memory',
      end: true,
      cell: one => bytes(one.memory),
    },
    {
      id: 'command',
      header: 'Command',
      width: 'minmax(220px, 3fr)',
      cell: one => <code>{plain(one.command, 300)}</code>,
    },
    {
      id: 'actions',
      header: 'Actions',
      width: '80px',
      end: true,
      cell: one => (
        <Button size="compact-xs" variant="default" onClick={() => kill(one)}>
          End…
        </Button>
      ),
    },
  ]
  return (
    <>
      <Group gap="xs">
        <SearchBox label="Search processes" value={q} onChange={search} slash />
      </Group>
      <Grid
        label="Processes"
        columns={columns}
        rows={rows}
        rowKey={processKey}
        sort={sort}
        onSort={sort => change({ sort })}
        error={processes.error}
        retry={() => void processes.refetch()}
        empty={<Empty title="No process fits" />}
      />
    </>
  )
}

const processKey = (process: Process) => `${process.pid}-${process.started}`
