import { AppShell, Burger, Group, Kbd, UnstyledButton } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { Outlet, Link as RouterLink, useRouterState } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useState } from 'react'
import { hindrance } from '~/api/actions'
import { useUser } from '~/api/me'
import { TerminalDock } from '~/terminal'
import { ConfirmHost } from '~/ui/confirm'
import { Icon } from '~/ui/icons'
import { LiveLine, useLiveEvents } from './live-line'
import { PLACES } from './navigation'
import classes from './shell.module.css'
import { useShellKeys } from './shell-keys'
import { UserMenu } from './user-menu'

const Palette = lazy(() => import('./palette'))
const KeysHelp = lazy(() => import('./keys-help'))

export default function Shell() {
  const [menuOpen, menu] = useDisclosure(false)
  const [palette, setPalette] = useState(false)
  const [help, setHelp] = useState(false)
  useLiveEvents()
  useShellKeys({ palette: () => setPalette(true), help: () => setHelp(true) })
  const path = useRouterState({ select: state => state.location.pathname })
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new page closes the menu of a phone
  useEffect(() => menu.close(), [path])
  return (
    <AppShell
      header={{ height: 44 }}
      navbar={{ width: 188, breakpoint: 'sm', collapsed: { mobile: !menuOpen } }}
      padding={0}
      classNames={{ header: classes.header, navbar: classes.navbar, main: classes.main }}
    >
      <a className="skip-link" href="#main">
        To the content
      </a>
      <AppShell.Header>
        <Group h="100%" px="sm" gap="sm" wrap="nowrap">
          <Burger
            opened={menuOpen}
            onClick={menu.toggle}
            hiddenFrom="sm"
            size="sm"
            aria-label="Menu"
          />
          <RouterLink to="/devices" className={classes.brand}>
            <img src="/favicon.svg" alt="" width={20} height={20} />
            <span>GuruRMM</span>
          </RouterLink>
          <UnstyledButton className={classes.find} onClick={() => setPalette(true)}>
            <Icon name="search" size={14} />
            <span>Find a device or page</span>
            <Kbd size="xs">Ctrl K</Kbd>
          </UnstyledButton>
          <Group gap="xs" ml="auto" wrap="nowrap">
            <LiveLine />
            <UserMenu onHelp={() => setHelp(true)} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar aria-label="Pages">
        <Places />
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <div className={classes.content}>
          <Suspense>
            <Outlet />
          </Suspense>
        </div>
        <TerminalDock />
      </AppShell.Main>
      <ConfirmHost />
      <Suspense>
        {palette && <Palette onClose={() => setPalette(false)} />}
        {help && <KeysHelp onClose={() => setHelp(false)} />}
      </Suspense>
    </AppShell>
  )
}

function Places() {
  const user = useUser()
  return PLACES.map(({ group, places }) => {
    const open = places.filter(place => !place.needs || !hindrance(place.needs, user))
    return (
      <div key={group} className={classes.group}>
        <div className={classes.groupName}>{group}</div>
        {open.map(place => (
          <RouterLink
            key={place.to}
            to={place.to}
            className={classes.place}
            activeProps={{ 'data-active': true }}
            activeOptions={{ includeSearch: false }}
          >
            <Icon name={place.icon} />
            {place.name}
          </RouterLink>
        ))}
      </div>
    )
  })
}
