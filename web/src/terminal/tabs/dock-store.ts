/**
 * The dock's state outside of React, light enough for every page: which terminals there are and how the dock stands.
 * Which terminals were open is kept in this tab's session storage, so that a reload goes back to the same shells.
 */

import { session } from '~/api/session'
import { createStore } from '~/util/store'
import {
  addTab,
  changeTab,
  EMPTY,
  type Layout,
  MOST_GROUPS,
  removeTab,
  showTab,
  splitTab,
  type TabInfo,
  tabsOf,
} from './layout'

export type DockShape = 'open' | 'minimised' | 'maximised'

export interface Dock {
  layout: Layout
  shape: DockShape
  /** Counts up when the shown terminal should take the focus. */
  focus: number
}

const PLACE = 'gururmm.terminal.tabs'

export const dock = createStore<Dock>({ layout: recall(), shape: 'open', focus: 0 })

/** How a terminal is opened. */
export interface OpenTerminalOptions {
  /** How the device is called; shown as text. */
  agentName?: string
  /** `bash`, `powershell`, …; the device's default where it is missing. */
  shell?: string
  workingDirectory?: string
  /** Beside the others instead of among them. */
  split?: boolean
  /** A session that is there already, also a colleague's that is only watched. */
  sessionId?: string
  /** A terminal that runs in it already. */
  channelId?: string
  readOnly?: boolean
}

/** Opens a terminal in the dock; answers its tab's key. */
export function openTerminal(agentId: string, options: OpenTerminalOptions = {}): string {
  const { agentName, split, ...rest } = options
  const there = options.channelId && find(options.sessionId, options.channelId)
  if (there) {
    show(there.key)
    return there.key
  }
  const key = crypto.randomUUID()
  const tab: TabInfo = { key, agentId, agentName: agentName ?? agentId.slice(0, 8), ...rest }
  change(layout => addTab(layout, tab, split))
  unfold()
  return key
}

/** Watches the terminals of a session without typing. */
export function watchSession(target: {
  sessionId: string
  agentId: string
  agentName?: string
  channelId?: string
}): string {
  const { agentId, ...options } = target
  return openTerminal(agentId, { ...options, readOnly: true })
}

function find(sessionId: string | undefined, channelId: string): TabInfo | undefined {
  const tabs = tabsOf(dock.get().layout)
  return tabs.find(tab => tab.sessionId === sessionId && tab.channelId === channelId)
}

/** Brings a tab to the front. */
export function show(key: string): void {
  change(layout => showTab(layout, key))
  unfold()
}

/** As {@link show}, where the focus is there already. */
export function markActive(key: string): void {
  change(layout => showTab(layout, key))
}

export function remove(key: string): void {
  change(layout => removeTab(layout, key))
}

export function split(key: string): void {
  change(layout => splitTab(layout, key))
  unfold()
}

export function learn(key: string, what: Partial<TabInfo>): void {
  change(layout => changeTab(layout, key, what))
}

export function reshape(shape: DockShape): void {
  dock.set(before => ({ ...before, shape }))
}

function unfold(): void {
  dock.set(before => ({
    ...before,
    shape: before.shape === 'minimised' ? 'open' : before.shape,
    focus: before.focus + 1,
  }))
}

function change(how: (layout: Layout) => Layout): void {
  dock.set(before => {
    const layout = how(before.layout)
    return layout === before.layout ? before : { ...before, layout }
  })
  keep()
}

function keep(): void {
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(tabsOf(dock.get().layout)))
  } catch {
    // Without storage a reload forgets the tabs; the shells run on until their session is idle.
  }
}

/** Tabs from before a reload; those that had no terminal yet are left out. */
export function recall(): Layout {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(PLACE) ?? '[]')
    if (!Array.isArray(kept)) return EMPTY
    const tabs = kept.filter(isKept).slice(0, 16 * MOST_GROUPS)
    return tabs.reduce((layout, tab) => addTab(layout, tab), EMPTY)
  } catch {
    return EMPTY
  }
}

function isKept(value: unknown): value is TabInfo {
  if (typeof value !== 'object' || value === null) return false
  const tab = value as Record<string, unknown>
  const texts = [tab.key, tab.agentId, tab.agentName, tab.sessionId, tab.channelId]
  return texts.every(text => typeof text === 'string')
}

// Whoever logs out leaves nothing for the next. A page that was loaded without a log-in keeps what it had: the same
// person may log in again, and to anybody else the server refuses it.
let before = session.get().state
session.subscribe(() => {
  const { state } = session.get()
  if (state === 'anonymous' && before !== 'unknown') change(() => EMPTY)
  before = state
})
