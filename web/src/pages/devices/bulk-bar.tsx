import { Button, Group, Text } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import { hindrance } from '~/api/actions'
import { useUser } from '~/api/me'
import { Icon } from '~/ui/icons'
import { plural } from '~/util/format'
import classes from './bulk-bar.module.css'

const RunDialog = lazy(() => import('~/components/run-dialog/run-dialog'))
const MoveDialog = lazy(() => import('./move-dialog'))
const UpdateDialog = lazy(() => import('./update-dialog'))
const MaintenanceDialog = lazy(() => import('~/components/maintenance-dialog'))

type Bulk = 'run' | 'move' | 'update' | 'maintenance'

/** What may be done with the selected devices at once. */
export function BulkBar({ selected, clear }: { selected: ReadonlySet<string>; clear: () => void }) {
  const user = useUser()
  const [open, setOpen] = useState<Bulk | null>(null)
  const ids = [...selected]
  const close = () => setOpen(null)
  const work = !hindrance('runJob', user)
  return (
    <Group className={classes.bar} gap="xs" role="toolbar" aria-label="Selected devices">
      <Text size="sm" fw={600} role="status">
        {plural(ids.length, 'device')} selected
      </Text>
      {work && (
        <Button leftSection={<Icon name="play" size={14} />} onClick={() => setOpen('run')}>
          Run…
        </Button>
      )}
      {user.role === 'administrator' && (
        <Button
          variant="default"
          leftSection={<Icon name="site" size={14} />}
          onClick={() => setOpen('move')}
        >
          Move to site…
        </Button>
      )}
      {user.role === 'administrator' && (
        <Button
          variant="default"
          leftSection={<Icon name="refresh" size={14} />}
          onClick={() => setOpen('update')}
        >
          Update…
        </Button>
      )}
      {work && (
        <Button
          variant="default"
          leftSection={<Icon name="pause" size={14} />}
          onClick={() => setOpen('maintenance')}
        >
          Maintenance…
        </Button>
      )}
      <Button variant="subtle" color="gray" onClick={clear}>
        Clear
      </Button>
      <Suspense>
        {open === 'run' && (
          <RunDialog filter={{ agent_ids: ids }} count={ids.length} onClose={close} />
        )}
        {open === 'move' && <MoveDialog ids={ids} onClose={close} onMoved={clear} />}
        {open === 'update' && <UpdateDialog ids={ids} onClose={close} onDone={clear} />}
        {open === 'maintenance' && <MaintenanceDialog agentIds={ids} onClose={close} />}
      </Suspense>
    </Group>
  )
}
