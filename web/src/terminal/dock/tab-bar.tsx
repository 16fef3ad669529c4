import { type KeyboardEvent, type MouseEvent, useRef } from 'react'
import { Icon } from '~/ui/icons'
import { Untrusted } from '~/ui/untrusted'
import { useStore } from '~/util/store'
import { titleOf } from '../screen/title'
import { show } from '../tabs/dock-store'
import type { Group, TabInfo } from '../tabs/layout'
import { askToClose } from './close-question'
import classes from './dock.module.css'
import { NO_CHANNEL } from './no-channel'
import { tabAtWork } from './tabs-at-work'
import type { TerminalTab } from './terminal-tab'
import { type TabHealth, useTabHealth } from './use-tab-health'

/** The tabs of a group: arrows move, Delete closes. */
export function TabBar({ group }: { group: Group }) {
  const list = useRef<HTMLDivElement>(null)
  const press = (event: KeyboardEvent) => {
    const at = group.tabs.findIndex(tab => tab.key === group.active)
    if (event.key === 'Delete') {
      event.preventDefault()
      return askToClose(group.active)
    }
    const next = group.tabs[at + ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0)]
    if (!next || next.key === group.active) return
    event.preventDefault()
    show(next.key)
    requestAnimationFrame(() => {
      list.current?.querySelector<HTMLElement>('[aria-selected="true"]')?.focus()
    })
  }
  return (
    <div ref={list} role="tablist" aria-label="Open terminals" className={classes.tabs}>
      {group.tabs.map(info => {
        const tab = tabAtWork(info.key)
        return (
          tab && (
            <Tab
              key={info.key}
              info={info}
              tab={tab}
              shown={info.key === group.active}
              onKeyDown={press}
            />
          )
        )
      })}
    </div>
  )
}

interface TabProps {
  info: TabInfo
  tab: TerminalTab
  shown: boolean
  onKeyDown: (event: KeyboardEvent) => void
}

const HEALTH: Record<TabHealth, string> = {
  open: 'connected',
  waiting: 'connecting',
  ended: 'ended',
  failed: 'failed',
}

function Tab({ info, tab, shown, onKeyDown }: TabProps) {
  const { title: own, channel } = useStore(tab.state)
  const { program } = useStore(channel?.state ?? NO_CHANNEL)
  const title = own || titleOf(program.split(/[\\/]/).at(-1) ?? '')
  const health = useTabHealth(tab)
  const click = (event: MouseEvent) => {
    const target = event.target as Element
    if (target.closest('[data-close]')) askToClose(info.key)
    else show(info.key)
  }
  return (
    <button
      type="button"
      role="tab"
      id={`terminal-tab-${info.key}`}
      aria-controls={shown ? `terminal-pane-${info.key}` : undefined}
      aria-selected={shown}
      aria-keyshortcuts="Delete"
      tabIndex={shown ? 0 : -1}
      className={classes.tab}
      onClick={click}
      onAuxClick={event => event.button === 1 && askToClose(info.key)}
      onKeyDown={onKeyDown}
    >
      <span className={classes.state} data-state={health} role="img" aria-label={HEALTH[health]} />
      <span className={classes.label}>
        <Untrusted text={info.agentName} longest={40} />
        {title && (
          <span className={classes.title}>
            <bdi>{title}</bdi>
          </span>
        )}
      </span>
      <span className={classes.close} data-close aria-hidden="true" title="Close">
        <Icon name="close" size={12} />
      </span>
    </button>
  )
}
