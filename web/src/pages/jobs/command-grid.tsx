import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { DeviceName } from '~/components/device-name'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link } from '~/ui/link'
import { Time } from '~/ui/time'
import { duration } from '~/util/format'
import { plain } from '~/util/untrusted'
import { CommandStatus } from './command-status'
import { type Command, useCommands } from './use-commands'

const COLUMNS: GridColumn<Command>[] = [
  {
    id: 'status',
    header: 'State',
    width: '160px',
    cell: command => (
      <CommandStatus status={command.status} reason={command.reason} exitCode={command.exit_code} />
    ),
  },
  {
    id: 'device',
    header: 'Device',
    width: 'minmax(120px, 1fr)',
    cell: command => <DeviceName id={command.agent_id} />,
  },
  {
    id: 'command',
    header: 'Command',
    width: 'minmax(200px, 3fr)',
    cell: command => (
      <Link
        to="/commands/$commandId"
        params={{ commandId: command.id }}
        ff="monospace"
        tabIndex={-1}
      >
        {plain(scriptName(command) ?? command.command, 200)}
      </Link>
    ),
  },
  {
    id: 'given',
    header: 'Given',
    width: '110px',
    cell: command => <Time at={command.created_at} />,
  },
  {
    id: 'took',
    header: 'Took',
    width: '90px',
    end: true,
    cell: ({ duration_ms }) =>
      duration_ms === null || duration_ms === undefined ? '' : duration(duration_ms / 1000),
  },
]

export function scriptName(command: { script?: unknown }): string | null {
  const script = command.script as { name?: string } | null | undefined
  return script?.name ? `script: ${script.name}` : null
}

interface CommandGridProps {
  filter: { agent_id?: string; job_id?: string; status?: string }
  empty?: string
}

export function CommandGrid({ filter, empty }: CommandGridProps) {
  const navigate = useNavigate()
  const { list, rows } = useCommands(filter)
  const columns = useMemo(
    () => (filter.agent_id ? COLUMNS.filter(column => column.id !== 'device') : COLUMNS),
    [filter.agent_id],
  )
  return (
    <Grid
      label="Commands"
      columns={columns}
      rows={rows}
      rowKey={commandKey}
      onOpen={({ id }) => void navigate({ to: '/commands/$commandId', params: { commandId: id } })}
      error={list.error}
      retry={() => void list.refetch()}
      more={{
        has: list.hasNextPage,
        busy: list.isFetchingNextPage,
        fetch: () => void list.fetchNextPage(),
      }}
      empty={
        <Empty
          title="No commands"
          text={empty ?? 'What is run on devices is listed here, with its output.'}
        />
      }
    />
  )
}

const commandKey = (command: Command) => command.id
