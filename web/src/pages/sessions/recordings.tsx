import { SegmentedControl } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link } from '~/ui/link'
import { Page } from '~/ui/page'
import { Status, type Tone } from '~/ui/status'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { bytes, duration, words } from '~/util/format'
import { plain } from '~/util/untrusted'
import { Program } from './program'
import { SessionTabs } from './session-tabs'

type Recording = Schemas['Recording']
const route = getRouteApi('/inside/recordings')

const TONES: Record<string, Tone> = {
  recording: 'info',
  complete: 'good',
  interrupted: 'warn',
  failed: 'bad',
}

const COLUMNS: GridColumn<Recording>[] = [
  {
    id: 'state',
    header: 'State',
    width: '120px',
    cell: ({ state }) => <Status tone={TONES[state] ?? 'idle'}>{words(state)}</Status>,
  },
  {
    id: 'device',
    header: 'Device',
    width: 'minmax(140px, 1fr)',
    cell: recording => (
      <Link
        to="/recordings/$recordingId"
        params={{ recordingId: recording.id }}
        fw={600}
        tabIndex={-1}
      >
        {plain(recording.agent_hostname, 60)}
      </Link>
    ),
  },
  {
    id: 'program',
    header: 'Program',
    width: 'minmax(120px, 1fr)',
    cell: recording => <Program name={recording.program} />,
  },
  {
    id: 'who',
    header: 'Technician',
    width: 'minmax(160px, 1fr)',
    cell: recording => recording.tech_email,
  },
  {
    id: 'started',
    header: 'Started',
    width: '120px',
    sort: 'started',
    cell: recording => <Time at={recording.started_at} />,
  },
  {
    id: 'length',
    header: 'Length',
    width: '100px',
    end: true,
    cell: recording => (recording.duration_ms ? duration(recording.duration_ms / 1000) : '–'),
  },
  {
    id: 'size',
    header: 'Size',
    width: '90px',
    end: true,
    cell: recording => bytes(recording.bytes),
  },
]

export default function RecordingsPage() {
  const { state } = route.useSearch()
  const navigate = useNavigate()
  const { grid } = useList<Recording>({
    queryKey: [...keys.recordings, 'list', state],
    page: cursor =>
      body(
        api.GET('/api/recordings', { params: { query: { state, cursor, limit: 100 } as never } }),
      ),
  })
  return (
    <Page title="Recordings" fill heading={<SessionTabs />}>
      <SegmentedControl
        aria-label="State"
        style={{ alignSelf: 'flex-start' }}
        value={state ?? ''}
        onChange={next =>
          void navigate({ to: '/recordings', search: { state: next || undefined }, replace: true })
        }
        data={[
          { value: '', label: 'All' },
          { value: 'recording', label: 'Being recorded' },
          { value: 'complete', label: 'Complete' },
          { value: 'interrupted', label: 'Interrupted' },
          { value: 'failed', label: 'Failed' },
        ]}
      />
      <Grid
        {...grid}
        label="Recordings"
        columns={COLUMNS}
        rowKey={recordingKey}
        onOpen={({ id }) =>
          void navigate({ to: '/recordings/$recordingId', params: { recordingId: id } })
        }
        empty={
          <Empty title="No recordings" text="Terminals are recorded where a policy says so." />
        }
      />
    </Page>
  )
}

const recordingKey = (recording: Recording) => recording.id
