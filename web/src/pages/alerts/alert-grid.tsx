import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { alsoAsk, api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { usePolling } from '~/components/live-line'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Time } from '~/ui/time'
import { plain } from '~/util/untrusted'
import { AlertActions } from './alert-list'
import { SeverityMark } from './severity'

type Alert = Schemas['Alert']

const COLUMNS: GridColumn<Alert>[] = [
  {
    id: 'severity',
    header: 'Severity',
    width: '96px',
    cell: alert => <SeverityMark severity={alert.severity} />,
  },
  {
    id: 'device',
    header: 'Device',
    width: 'minmax(120px, 1fr)',
    cell: alert =>
      alert.agent_id ? <DeviceName id={alert.agent_id} name={alert.hostname} /> : '–',
  },
  {
    id: 'message',
    header: 'What',
    width: 'minmax(220px, 3fr)',
    cell: alert => plain(alert.message, 240),
  },
  {
    id: 'status',
    header: 'State',
    width: '110px',
    cell: alert => (snoozed(alert) ? 'snoozed' : alert.status),
  },
  { id: 'opened', header: 'Since', width: '110px', cell: alert => <Time at={alert.opened_at} /> },
  {
    id: 'actions',
    header: 'Actions',
    width: '290px',
    end: true,
    cell: alert => <AlertActions alert={alert} />,
  },
]

function snoozed(alert: Alert): boolean {
  return Boolean(alert.snoozed_until && Date.parse(alert.snoozed_until) > Date.now())
}

export function AlertGrid({
  status,
  severity,
  agentId,
}: {
  status?: string
  severity?: string
  agentId?: string
}) {
  const navigate = useNavigate()
  const list = useInfiniteQuery({
    queryKey: [...keys.alerts, 'list', status, severity, agentId],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/alerts', {
          params: {
            query: alsoAsk({ status, severity, agent_id: agentId, limit: 100, cursor: pageParam }),
          },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: page => page.next_cursor ?? undefined,
    refetchInterval: usePolling(),
  })
  const rows = useMemo(() => list.data?.pages.flatMap(page => page.items as Alert[]), [list.data])
  const columns = useMemo(
    () => (agentId ? COLUMNS.filter(column => column.id !== 'device') : COLUMNS),
    [agentId],
  )
  return (
    <Grid
      label="Alerts"
      columns={columns}
      rows={rows}
      rowKey={alertKey}
      onOpen={alert => {
        if (alert.agent_id)
          void navigate({ to: '/devices/$agentId', params: { agentId: alert.agent_id } })
      }}
      error={list.error}
      retry={() => void list.refetch()}
      more={{
        has: list.hasNextPage,
        busy: list.isFetchingNextPage,
        fetch: () => void list.fetchNextPage(),
      }}
      empty={<Empty title="No alerts" text="What the policies watch for is in order." />}
    />
  )
}

const alertKey = (alert: Alert) => alert.id
