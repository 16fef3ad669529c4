import { AgentStatus } from '~/components/agent-status'
import type { GridColumn } from '~/ui/grid'
import { Link } from '~/ui/link'
import { Meter } from '~/ui/meter'
import { Time } from '~/ui/time'
import { Untrusted } from '~/ui/untrusted'
import { share } from '~/util/format'
import { TerminalButton } from './terminal-button'
import type { Device } from './use-devices'

export const COLUMNS: GridColumn<Device>[] = [
  {
    id: 'status',
    header: 'State',
    width: '84px',
    cell: agent => <AgentStatus status={agent.status} />,
  },
  {
    id: 'name',
    header: 'Name',
    width: 'minmax(130px, 2fr)',
    sort: 'name',
    cell: agent => (
      <Link to="/devices/$agentId" params={{ agentId: agent.id }} fw={600} tabIndex={-1}>
        <Untrusted text={agent.hostname} longest={80} />
      </Link>
    ),
  },
  {
    id: 'client',
    header: 'Client',
    width: 'minmax(90px, 1.2fr)',
    cell: agent =>
      agent.client && (
        <Link
          to="/clients/$clientId"
          params={{ clientId: agent.client.id }}
          c="inherit"
          tabIndex={-1}
        >
          {agent.client.name}
        </Link>
      ),
  },
  {
    id: 'site',
    header: 'Site',
    width: 'minmax(80px, 1fr)',
    cell: agent => agent.site?.name ?? 'no site',
  },
  {
    id: 'os',
    header: 'System',
    width: 'minmax(110px, 1.4fr)',
    cell: agent => (
      <Untrusted
        text={[agent.os.name || agent.os.family, agent.os.version].join(' ')}
        longest={80}
      />
    ),
  },
  {
    id: 'cpu',
    header: 'CPU',
    width: '84px',
    cell: agent => <Meter label="CPU" value={agent.metrics?.cpu_percent} />,
  },
  {
    id: 'memory',
    header: 'Memory',
    width: '84px',
    cell: ({ metrics }) => (
      <Meter
        label="Memory"
        value={share(metrics?.memory_used_bytes, metrics?.memory_total_bytes)}
      />
    ),
  },
  {
    id: 'disk',
    header: 'Disk',
    width: '84px',
    cell: ({ metrics }) => (
      <Meter label="Disk" value={share(metrics?.disk_used_bytes, metrics?.disk_total_bytes)} />
    ),
  },
  {
    id: 'version',
    header: 'Agent',
    width: '64px',
    cell: agent => <Untrusted text={agent.agent_version} longest={24} />,
  },
  {
    id: 'seen',
    header: 'Last seen',
    width: '96px',
    sort: 'last_seen',
    cell: agent => <Time at={agent.last_seen_at} />,
  },
  {
    id: 'added',
    header: 'Added',
    width: '96px',
    sort: 'created',
    cell: agent => <Time at={agent.created_at} />,
  },
  {
    id: 'open',
    header: 'Shell',
    width: '68px',
    end: true,
    cell: agent => <TerminalButton agent={agent} small />,
  },
]

/** Always there: without them a row cannot be told or used. */
export const FIXED = ['status', 'name', 'open']

const HIDDEN_AT_FIRST = 'added'

export function visibility(hide: string | undefined): Record<string, boolean> {
  const hidden = (hide ?? HIDDEN_AT_FIRST).split(',').filter(id => !FIXED.includes(id))
  return Object.fromEntries(hidden.map(id => [id, false]))
}

export function toggledColumn(hide: string | undefined, id: string): string {
  const hidden = new Set((hide ?? HIDDEN_AT_FIRST).split(',').filter(Boolean))
  if (!hidden.delete(id)) hidden.add(id)
  // Nothing hidden still is a choice, other than the first one.
  return [...hidden].join(',') || 'none'
}
