import { dock, markActive } from '../tabs/dock-store'
import type { Group } from '../tabs/layout'
import classes from './dock.module.css'
import { DockTools, GroupTools } from './group-tools'
import { Pane } from './pane'
import { TabBar } from './tab-bar'
import { tabAtWork } from './tabs-at-work'

interface Props {
  group: Group
  isActive: boolean
  isLast: boolean
  /** Whether there is room for more than the bar. */
  mayShow: boolean
  focus: number
  /** The focus went into a terminal. */
  onEnter: () => void
}

/** Terminals that share a place: their tabs, their tools, and the one that is shown. */
export function GroupView({ group, isActive, isLast, mayShow, focus, onEnter }: Props) {
  const info = group.tabs.find(tab => tab.key === group.active)
  const tab = info && tabAtWork(info.key)
  return (
    <div
      className={classes.group}
      data-active={isActive || undefined}
      onFocusCapture={() => {
        if (dock.get().layout.active !== group.id) markActive(group.active)
      }}
    >
      <div className={classes.bar}>
        <TabBar group={group} />
        <div className={classes.tools}>
          {info && tab && <GroupTools info={info} tab={tab} alone={group.tabs.length < 2} />}
          {isLast && <DockTools />}
        </div>
      </div>
      {mayShow && info && tab && (
        <Pane
          key={info.key}
          info={info}
          tab={tab}
          focus={isActive ? focus : undefined}
          onEnter={onEnter}
        />
      )}
    </div>
  )
}
