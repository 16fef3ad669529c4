/** The terminals of the dock at work, by their tabs' keys: made when their tab comes, let go when it goes. */

import { dock, remove } from '../tabs/dock-store'
import { tabsOf } from '../tabs/layout'
import { TerminalTab } from './terminal-tab'

const tabs = new Map<string, TerminalTab>()
/** Tabs that are to run on without anybody watching. */
const detached = new Set<string>()
let onLeave: () => void = () => undefined

export function tabAtWork(key: string): TerminalTab | undefined {
  return tabs.get(key)
}

/** Where the keyboard goes when it leaves a terminal. */
export function whenLeft(listener: () => void): () => void {
  onLeave = listener
  return () => {
    onLeave = () => undefined
  }
}

/** Takes a tab away and lets its program run on. */
export function detach(key: string): void {
  detached.add(key)
  remove(key)
  TerminalTab.detached()
}

function follow(): void {
  const wanted = new Map(tabsOf(dock.get().layout).map(info => [info.key, info]))
  for (const [key, tab] of tabs) {
    if (wanted.has(key)) continue
    tabs.delete(key)
    tab.dispose(!detached.delete(key))
  }
  for (const [key, info] of wanted) {
    if (!tabs.has(key)) tabs.set(key, new TerminalTab(info, { leave: () => onLeave() }))
  }
}

follow()
dock.subscribe(follow)
