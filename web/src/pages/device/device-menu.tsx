import { ActionIcon, Menu } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import { hindrance } from '~/api/actions'
import { api, body } from '~/api/client'
import { useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { confirm } from '~/ui/confirm'
import { Icon } from '~/ui/icons'
import { told } from '~/ui/toast'
import { plain } from '~/util/untrusted'
import type { Device } from './use-device'

const RunDialog = lazy(() => import('~/components/run-dialog/run-dialog'))
const MoveDialog = lazy(() => import('~/pages/devices/move-dialog'))
const MaintenanceDialog = lazy(() => import('~/components/maintenance-dialog'))

export function DeviceMenu({ agent }: { agent: Device }) {
  const user = useUser()
  const navigate = useNavigate()
  const [open, setOpen] = useState<'run' | 'move' | 'maintenance' | null>(null)
  const close = () => setOpen(null)
  const name = plain(agent.hostname, 60)
  const remove = () =>
    confirm({
      title: `Delete ${name}?`,
      text: 'Its connection and sessions end, its key stops working and its history goes. It comes back only by enrolling anew.',
      verb: 'Delete',
      danger: true,
      typed: name,
      act: async () => {
        await body(api.DELETE('/api/agents/{id}', { params: { path: { id: agent.id } } }))
        queries.removeQueries({ queryKey: keys.agent(agent.id) })
        void queries.invalidateQueries({ queryKey: keys.agents })
        told(`${name} is deleted`)
        void navigate({ to: '/devices' })
      },
    })
  return (
    <>
      <Menu width={200}>
        <Menu.Target>
          <ActionIcon variant="default" size={30} aria-label="More actions">
            <Icon name="dots" />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            disabled={Boolean(hindrance('runCommand', user, agent))}
            leftSection={<Icon name="play" />}
            onClick={() => setOpen('run')}
          >
            Run…
          </Menu.Item>
          <Menu.Item
            disabled={Boolean(hindrance('planMaintenance', user))}
            leftSection={<Icon name="pause" />}
            onClick={() => setOpen('maintenance')}
          >
            Maintenance…
          </Menu.Item>
          <Menu.Item
            disabled={Boolean(hindrance('moveAgent', user, agent))}
            leftSection={<Icon name="site" />}
            onClick={() => setOpen('move')}
          >
            Move…
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item
            c="var(--grmm-bad)"
            disabled={Boolean(hindrance('deleteAgent', user, agent))}
            leftSection={<Icon name="trash" />}
            onClick={remove}
          >
            Delete…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Suspense>
        {open === 'run' && (
          <RunDialog filter={{ agent_ids: [agent.id] }} count={1} onClose={close} />
        )}
        {open === 'move' && <MoveDialog ids={[agent.id]} onClose={close} />}
        {open === 'maintenance' && <MaintenanceDialog agentIds={[agent.id]} onClose={close} />}
      </Suspense>
    </>
  )
}
