import { Menu, UnstyledButton, useMantineColorScheme } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { logOut } from '~/api/login'
import { useUser } from '~/api/me'
import { Icon } from '~/ui/icons'
import { failed } from '~/ui/toast'
import { words } from '~/util/format'

export function UserMenu({ onHelp }: { onHelp: () => void }) {
  const user = useUser()
  const navigate = useNavigate()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  return (
    <Menu width={220}>
      <Menu.Target>
        <UnstyledButton
          style={{
            display: 'flex',
            alignItems: 'center',
            gap: 6,
            fontSize: 'var(--mantine-font-size-sm)',
          }}
          aria-label={`Account of ${user.name || user.email}`}
        >
          <Icon name="user" />
          <span
            style={{
              maxWidth: 160,
              overflow: 'hidden',
              textOverflow: 'ellipsis',
              whiteSpace: 'nowrap',
            }}
          >
            {user.name || user.email}
          </span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {user.email} · {words(user.role)}
        </Menu.Label>
        <Menu.Item
          leftSection={<Icon name="gear" />}
          onClick={() => void navigate({ to: '/settings' })}
        >
          Settings
        </Menu.Item>
        <Menu.Item leftSection={<Icon name="help" />} rightSection="?" onClick={onHelp}>
          Keys
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>Appearance</Menu.Label>
        {(['auto', 'light', 'dark'] as const).map(scheme => (
          <Menu.Item
            key={scheme}
            leftSection={
              colorScheme === scheme ? <Icon name="check" /> : <span style={{ width: 16 }} />
            }
            onClick={() => setColorScheme(scheme)}
          >
            {scheme === 'auto' ? 'As the system' : scheme === 'light' ? 'Light' : 'Dark'}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item
          leftSection={<Icon name="logout" />}
          onClick={() => logOut().catch(error => failed(error, 'You are logged out here only'))}
        >
          Log out everywhere
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
