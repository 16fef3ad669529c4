import { useInfiniteQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link } from '~/ui/link'
import { Time } from '~/ui/time'
import { plain } from '~/util/untrusted'
import { ActDialog } from './act-dialog'
import { Outcome } from './outcome'

export type Act = Schemas['Act']

export interface AuditFilter {
  q?: string
  action?: string
  outcome?: string
  from?: string
  to?: string
  agent_id?: string
  user_id?: string
  session_id?: string
}

const COLUMNS: GridColumn<Act>[] = [
  { id: 'at', header: 'When', width: '96px', cell: act => <Time at={act.at} /> },
  {
    id: 'user',
    header: 'Who',
    width: 'minmax(130px, 1fr)',
    cell: act => act.user_email || 'the system',
  },
  { id: 'action', header: 'Did', width: '150px', cell: act => <code>{act.action}</code> },
  {
    id: 'device',
    header: 'Device',
    width: 'minmax(90px, 1fr)',
    cell: act =>
      act.agent_id && (
        <Link to="/devices/$agentId" params={{ agentId: act.agent_id }} tabIndex={-1}>
          {plain(act.agent_hostname, 60) || 'a device'}
        </Link>
      ),
  },
  {
    id: 'detail',
    header: 'Detail',
    width: 'minmax(150px, 2fr)',
    cell: act => <code>{plain(act.detail, 200)}</code>,
  },
  { id: 'outcome', header: 'Outcome', width: '150px', cell: act => <Outcome act={act} /> },
  { id: 'from', header: 'From', width: '130px', cell: act => plain(act.remote_addr, 45) },
]

export function AuditGrid({ filter }: { filter: AuditFilter }) {
  const [shown, setShown] = useState<Act | null>(null)
  const list = useInfiniteQuery({
    queryKey: [...keys.audit, filter],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/audit', {
          params: { query: { ...filter, limit: 200, cursor: pageParam } as never },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: page => page.next_cursor ?? undefined,
  })
  const rows = useMemo(() => list.data?.pages.flatMap(page => page.items as Act[]), [list.data])
  return (
    <>
      <Grid
        label="Audit"
        columns={COLUMNS}
        rows={rows}
        rowKey={actKey}
        onOpen={setShown}
        error={list.error}
        retry={() => void list.refetch()}
        more={{
          has: list.hasNextPage,
          busy: list.isFetchingNextPage,
          fetch: () => void list.fetchNextPage(),
        }}
        empty={<Empty title="Nothing fits" text="Widen the time or the filters." />}
      />
      {shown && <ActDialog act={shown} onClose={() => setShown(null)} />}
    </>
  )
}

const actKey = (act: Act) => act.id
