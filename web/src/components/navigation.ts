import type { Action } from '~/api/actions'
import type { IconName } from '~/ui/icons'

interface Place {
  to: string
  name: string
  icon: IconName
  /** Second key after `g`. */
  key?: string
  /** Hidden from users who may not do this. */
  needs?: Extract<
    Action,
    'manageUsers' | 'seeAudit' | 'manageChannels' | 'manageTokens' | 'manageUpdates'
  >
}

/** Pages as the menu and the palette list them. */
export const PLACES: { group: string; places: Place[] }[] = [
  {
    group: 'Fleet',
    places: [
      { to: '/devices', name: 'Devices', icon: 'device', key: 'd' },
      { to: '/clients', name: 'Clients & sites', icon: 'site', key: 'c' },
      { to: '/alerts', name: 'Alerts', icon: 'alert', key: 'a' },
      { to: '/software', name: 'Inventory', icon: 'package' },
    ],
  },
  {
    group: 'Work',
    places: [
      { to: '/jobs', name: 'Jobs & commands', icon: 'job', key: 'j' },
      { to: '/scripts', name: 'Scripts', icon: 'script', key: 's' },
      { to: '/schedules', name: 'Schedules', icon: 'schedule' },
      { to: '/sessions', name: 'Sessions', icon: 'terminal', key: 't' },
    ],
  },
  {
    group: 'Rules',
    places: [
      { to: '/policies', name: 'Policies', icon: 'policy', key: 'p' },
      { to: '/enrolment', name: 'Enrolment', icon: 'enrol', key: 'e', needs: 'manageTokens' },
      { to: '/updates', name: 'Updates', icon: 'refresh', key: 'u', needs: 'manageUpdates' },
      { to: '/maintenance', name: 'Maintenance', icon: 'pause' },
    ],
  },
  {
    group: 'System',
    places: [
      { to: '/users', name: 'Users', icon: 'user', needs: 'manageUsers' },
      { to: '/keys', name: 'API keys', icon: 'key' },
      { to: '/notifications', name: 'Notifications', icon: 'channel', needs: 'manageChannels' },
      { to: '/audit', name: 'Audit', icon: 'audit', needs: 'seeAudit' },
      { to: '/settings', name: 'Settings & health', icon: 'gear' },
    ],
  },
]
