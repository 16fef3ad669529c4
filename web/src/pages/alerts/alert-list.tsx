import { Button, Group, Menu } from '@mantine/core'
import { hindrance } from '~/api/actions'
import type { Schemas } from '~/api/client'
import { useUser } from '~/api/me'
import { Time } from '~/ui/time'
import { plain } from '~/util/untrusted'
import classes from './alert-list.module.css'
import { acknowledge, resolve, SNOOZES, snooze } from './handle'
import { SeverityMark } from './severity'

type Alert = Schemas['Alert']

/** Alerts of one device, each with what may be done about it. */
export function AlertList({ alerts }: { alerts: Alert[] }) {
  return (
    <ul className={classes.list}>
      {alerts.map(alert => (
        <li key={alert.id}>
          <SeverityMark severity={alert.severity} />
          <span className={classes.message}>{plain(alert.message, 240)}</span>
          <span className={classes.time}>
            <Time at={alert.opened_at} />
          </span>
          <AlertActions alert={alert} />
        </li>
      ))}
    </ul>
  )
}

export function AlertActions({ alert }: { alert: Alert }) {
  const user = useUser()
  return (
    <Group gap={4} wrap="nowrap" justify="flex-end">
      {!hindrance('acknowledgeAlert', user, alert) && (
        <Button size="compact-xs" variant="default" onClick={() => void acknowledge(alert)}>
          Acknowledge
        </Button>
      )}
      {!hindrance('snoozeAlert', user, alert) && (
        <Menu>
          <Menu.Target>
            <Button size="compact-xs" variant="default">
              Snooze
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {SNOOZES.map(([hours, name]) => (
              <Menu.Item key={hours} onClick={() => void snooze(alert, hours)}>
                {name}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      {!hindrance('resolveAlert', user, alert) && (
        <Button size="compact-xs" variant="default" onClick={() => void resolve(alert)}>
          Resolve
        </Button>
      )}
    </Group>
  )
}
