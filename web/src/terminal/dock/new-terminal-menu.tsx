import { ActionIcon, Menu } from '@mantine/core'
import { Icon } from '~/ui/icons'
import { Untrusted } from '~/ui/untrusted'
import { createStore, useStore } from '~/util/store'
import { NOTHING_SEEN, runningTerminals, type SessionView } from '../session/session-view'
import type { ViewerLink } from '../session/viewer-link'
import { dock, openTerminal } from '../tabs/dock-store'
import { tabsOf } from '../tabs/layout'

const SHELLS = ['bash', 'sh', 'powershell', 'cmd']
const UNSEEN = createStore<SessionView>(NOTHING_SEEN)

interface Props {
  agentId: string
  agentName: string
  sessionId: string | undefined
  link: ViewerLink | undefined
}

/** A new terminal on the same device, or one that runs there without a tab. */
export function NewTerminalMenu({ agentId, agentName, sessionId, link }: Props) {
  const view = useStore(link?.view ?? UNSEEN)
  const { layout } = useStore(dock)
  const shown = new Set(
    tabsOf(layout)
      .filter(tab => tab.sessionId === sessionId)
      .map(tab => tab.channelId),
  )
  const others = runningTerminals(view).filter(channel => !shown.has(channel.channel_id))
  return (
    <Menu position="top-end" width={240}>
      <Menu.Target>
        <ActionIcon aria-label="New terminal on this device">
          <Icon name="enrol" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          New terminal on <Untrusted text={agentName} longest={30} />
        </Menu.Label>
        <Menu.Item onClick={() => openTerminal(agentId, { agentName })}>The usual shell</Menu.Item>
        {SHELLS.map(shell => (
          <Menu.Item key={shell} onClick={() => openTerminal(agentId, { agentName, shell })}>
            {shell}
          </Menu.Item>
        ))}
        {others.length > 0 && <Menu.Label>Already running</Menu.Label>}
        {others.map(({ channel_id, command }) => (
          <Menu.Item
            key={channel_id}
            onClick={() => openTerminal(agentId, { agentName, sessionId, channelId: channel_id })}
          >
            {channel_id}: <Untrusted text={command} longest={30} />
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
