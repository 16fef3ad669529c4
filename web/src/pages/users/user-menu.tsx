import { ActionIcon, Menu } from '@mantine/core'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { confirm } from '~/ui/confirm'
import { Icon } from '~/ui/icons'
import { failed, told } from '~/ui/toast'

interface UserMenuProps {
  user: Schemas['User']
  self: boolean
  onEdit: () => void
}

async function change(user: Schemas['User'], disabled: boolean) {
  await body(
    api.PATCH('/api/users/{id}', { params: { path: { id: user.id } }, body: { disabled } }),
  )
  await queries.invalidateQueries({ queryKey: keys.users })
}

export function UserMenu({ user, self, onEdit }: UserMenuProps) {
  const enable = async () => {
    try {
      await change(user, false)
      told(`${user.email} may log in again`)
    } catch (error) {
      failed(error, `${user.email} was not enabled`)
    }
  }
  const disable = () =>
    confirm({
      title: `Disable ${user.email}?`,
      text: 'The log-ins and sessions of this user end now, and the API keys stop. It can be taken back.',
      verb: 'Disable',
      danger: true,
      act: () => change(user, true),
    })
  const remove = () =>
    confirm({
      title: `Delete ${user.email}?`,
      text: 'The sessions end and the API keys stop. What was done stays in the audit.',
      verb: 'Delete',
      danger: true,
      typed: user.email,
      act: async () => {
        await body(api.DELETE('/api/users/{id}', { params: { path: { id: user.id } } }))
        await queries.invalidateQueries({ queryKey: keys.users })
      },
    })
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon size="sm" aria-label={`Actions for ${user.email}`}>
          <Icon name="dots" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={onEdit}>Edit…</Menu.Item>
        {user.disabled ? (
          <Menu.Item onClick={() => void enable()}>Enable</Menu.Item>
        ) : (
          <Menu.Item disabled={self} onClick={disable}>
            Disable…
          </Menu.Item>
        )}
        <Menu.Item c="var(--grmm-bad)" disabled={self} onClick={remove}>
          Delete…
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
