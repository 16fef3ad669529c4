import { Group, SegmentedControl } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { usePolling } from '~/components/live-line'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { Status, type Tone } from '~/ui/status'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { words } from '~/util/format'
import { SessionActions } from './session-actions'
import { SessionTabs } from './session-tabs'

type Listed = Schemas['ListedSession']
const route = getRouteApi('/inside/sessions')

const SHOWN: Record<string, [Tone, string]> = {
  active: ['info', 'opening'],
  ready: ['good', 'open'],
  closed: ['idle', 'closed'],
  error: ['warn', 'failed'],
}

const COLUMNS: GridColumn<Listed>[] = [
  {
    id: 'status',
    header: 'State',
    width: '100px',
    cell: ({ status }) => {
      const [tone, word] = SHOWN[status] ?? ['idle', words(status)]
      return <Status tone={tone}>{word}</Status>
    },
  },
  {
    id: 'device',
    header: 'Device',
    width: 'minmax(140px, 1fr)',
    cell: ({ agent_id, hostname }) => <DeviceName id={agent_id} name={hostname} />,
  },
  {
    id: 'who',
    header: 'Technician',
    width: 'minmax(160px, 1fr)',
    cell: ({ tech_email }) => tech_email,
  },
  {
    id: 'opened',
    header: 'Opened',
    width: '120px',
    sort: 'opened',
    cell: ({ opened_at }) => <Time at={opened_at} />,
  },
  {
    id: 'activity',
    header: 'Last active',
    width: '120px',
    sort: 'activity',
    cell: ({ last_activity }) => <Time at={last_activity} />,
  },
  {
    id: 'why',
    header: 'Ended because',
    width: 'minmax(120px, 1fr)',
    cell: ({ close_reason }) => (close_reason ? words(close_reason) : '–'),
  },
  {
    id: 'actions',
    header: 'Actions',
    width: '240px',
    cell: session => <SessionActions session={session} />,
  },
]

/** Sessions, open and past: administrators see everybody's, technicians their own. */
export default function SessionsPage() {
  const { q, show, sort } = route.useSearch()
  const navigate = useNavigate()
  const go = useCallback(
    (search: { q?: string; show?: string; sort?: string }) =>
      void navigate({
        to: '/sessions',
        search: before => ({ ...before, ...search }),
        replace: true,
      }),
    [navigate],
  )
  const all = show === 'all'
  const { grid } = useList<Listed>({
    queryKey: [...keys.sessions, 'list', all, q, sort],
    page: (cursor, signal) =>
      body(
        api.GET('/api/sessions', {
          params: {
            query: {
              q,
              status: all ? undefined : 'open',
              sort: sort as '-opened' | undefined,
              cursor,
              limit: 100,
            },
          },
          signal,
        }),
      ),
    refetchInterval: usePolling(5000),
  })
  const search = useCallback((text: string) => go({ q: text || undefined }), [go])
  return (
    <Page title="Sessions" fill heading={<SessionTabs />}>
      <Group gap="xs">
        <SegmentedControl
          aria-label="Which"
          value={all ? 'all' : 'open'}
          onChange={next => go({ show: next === 'all' ? next : undefined })}
          data={[
            { value: 'open', label: 'Open' },
            { value: 'all', label: 'Open and past' },
          ]}
        />
        <SearchBox label="Search device or e-mail" value={q ?? ''} onChange={search} slash />
      </Group>
      <Grid
        {...grid}
        label="Sessions"
        columns={COLUMNS}
        rowKey={sessionKey}
        sort={sort ?? '-opened'}
        onSort={next => go({ sort: next })}
        empty={
          <Empty
            title={all || q ? 'No session fits' : 'No session is open'}
            text="A terminal, files or services of a device open one."
          />
        }
      />
    </Page>
  )
}

const sessionKey = (session: Listed) => session.session_id
