import { ActionIcon, Button, Tooltip } from '@mantine/core'
import { useHindrance } from '~/api/me'
import { openTerminal } from '~/components/open-terminal'
import { Icon } from '~/ui/icons'
import { plain } from '~/util/untrusted'
import type { Device } from './use-devices'

export function TerminalButton({ agent, small }: { agent: Device; small?: boolean }) {
  const why = useHindrance('openTerminal', agent)
  const open = () => openTerminal(agent)
  if (small) {
    if (why) return null
    return (
      <ActionIcon
        size="sm"
        tabIndex={-1}
        onClick={open}
        aria-label={`Terminal of ${plain(agent.hostname, 80)}`}
      >
        <Icon name="terminal" />
      </ActionIcon>
    )
  }
  return (
    <Tooltip label={why ? `Not now: ${why}` : 'Open a terminal'}>
      <Button
        leftSection={<Icon name="terminal" />}
        onClick={why ? undefined : open}
        data-disabled={why ? true : undefined}
        aria-disabled={Boolean(why)}
      >
        Terminal
      </Button>
    </Tooltip>
  )
}
