import { ActionIcon, Popover, Tooltip } from '@mantine/core'
import { Icon } from '~/ui/icons'
import { useStore } from '~/util/store'
import { dock, openTerminal, reshape, split } from '../tabs/dock-store'
import { MOST_GROUPS, type TabInfo } from '../tabs/layout'
import { AlsoHere } from './also-here'
import { DockIcon } from './dock-icons'
import { NewTerminalMenu } from './new-terminal-menu'
import { Preferences } from './preferences-form'
import type { TerminalTab } from './terminal-tab'

interface Props {
  info: TabInfo
  tab: TerminalTab
  /** The tab is the only one of its group. */
  alone: boolean
}

/** What concerns the terminal that a group shows. */
export function GroupTools({ info, tab, alone }: Props) {
  const { layout } = useStore(dock)
  const { link } = useStore(tab.state)
  const full = layout.groups.length >= MOST_GROUPS
  const { agentId, agentName, sessionId, readOnly } = info
  // A tab that is alone cannot move beside itself: a new terminal stands there then.
  const onSplit = () => {
    if (alone) openTerminal(agentId, { agentName, split: true })
    else split(info.key)
  }
  return (
    <>
      <AlsoHere link={link} />
      {!readOnly && (
        <NewTerminalMenu
          agentId={agentId}
          agentName={agentName}
          sessionId={sessionId}
          link={link}
        />
      )}
      <Tooltip label="Search (Ctrl+Shift+F)">
        <ActionIcon aria-label="Search in the terminal" onClick={() => tab.search(true)}>
          <Icon name="search" />
        </ActionIcon>
      </Tooltip>
      {!readOnly && (
        <Tooltip label={alone ? 'New terminal beside this one' : 'Move beside the others'}>
          <ActionIcon aria-label="Split" onClick={onSplit} disabled={full}>
            <Icon name="columns" />
          </ActionIcon>
        </Tooltip>
      )}
    </>
  )
}

/** What concerns the dock as a whole. */
export function DockTools() {
  const { shape } = useStore(dock)
  const maximised = shape === 'maximised'
  const minimised = shape === 'minimised'
  return (
    <>
      <Popover position="top-end" width={260} trapFocus returnFocus shadow="md">
        <Popover.Target>
          <ActionIcon aria-label="Terminal preferences">
            <Icon name="gear" />
          </ActionIcon>
        </Popover.Target>
        <Popover.Dropdown p="xs" aria-label="Terminal preferences">
          <Preferences />
        </Popover.Dropdown>
      </Popover>
      <Tooltip label={maximised ? 'Restore' : 'Maximise'}>
        <ActionIcon
          aria-label={maximised ? 'Restore the terminals' : 'Maximise the terminals'}
          onClick={() => reshape(maximised ? 'open' : 'maximised')}
        >
          <DockIcon name={maximised ? 'restore' : 'maximise'} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label={minimised ? 'Show' : 'Minimise'}>
        <ActionIcon
          aria-label={minimised ? 'Show the terminals' : 'Minimise the terminals'}
          aria-expanded={!minimised}
          onClick={() => reshape(minimised ? 'open' : 'minimised')}
        >
          <DockIcon name={minimised ? 'up' : 'down'} />
        </ActionIcon>
      </Tooltip>
    </>
  )
}
