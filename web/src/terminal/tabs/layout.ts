/** Which terminals stand where in the dock: groups side by side, each with tabs. Pure. */

export interface TabInfo {
  key: string
  agentId: string
  /** As the device calls itself; it may say anything. */
  agentName: string
  /** Missing means the caller's own session to the device. */
  sessionId?: string
  /** Missing means a new terminal. */
  channelId?: string
  readOnly?: boolean
  shell?: string
  workingDirectory?: string
}

export interface Group {
  id: string
  tabs: TabInfo[]
  /** Key of the tab that is shown. */
  active: string
}

export interface Layout {
  groups: Group[]
  /** Id of the group that new tabs go to. */
  active: string
}

export const MOST_GROUPS = 4

export const EMPTY: Layout = { groups: [], active: '' }

export function tabsOf(layout: Layout): TabInfo[] {
  return layout.groups.flatMap(group => group.tabs)
}

export function groupOf(layout: Layout, key: string): Group | undefined {
  return layout.groups.find(group => group.tabs.some(tab => tab.key === key))
}

/** The tab that has, or would have, the focus. */
export function activeTab(layout: Layout): TabInfo | undefined {
  const group = layout.groups.find(one => one.id === layout.active)
  return group?.tabs.find(tab => tab.key === group.active)
}

/** Adds a tab to the active group, or to a new one at its right. */
export function addTab(layout: Layout, tab: TabInfo, split = false): Layout {
  const at = layout.groups.findIndex(group => group.id === layout.active)
  if (at < 0 || (split && layout.groups.length < MOST_GROUPS)) {
    const group = { id: `group-${tab.key}`, tabs: [tab], active: tab.key }
    return { groups: layout.groups.toSpliced(at + 1, 0, group), active: group.id }
  }
  return changeGroup(layout, layout.active, group => ({
    ...group,
    tabs: [...group.tabs, tab],
    active: tab.key,
  }))
}

/** Takes a tab away; its neighbour is shown, and a group without tabs is gone. */
export function removeTab(layout: Layout, key: string): Layout {
  const group = groupOf(layout, key)
  if (!group) return layout
  const at = group.tabs.findIndex(tab => tab.key === key)
  const tabs = group.tabs.toSpliced(at, 1)
  if (tabs.length === 0) return removeGroup(layout, group.id)
  const neighbour = tabs[Math.min(at, tabs.length - 1)]
  const active = group.active === key && neighbour ? neighbour.key : group.active
  return changeGroup(layout, group.id, one => ({ ...one, tabs, active }))
}

function removeGroup(layout: Layout, id: string): Layout {
  const at = layout.groups.findIndex(group => group.id === id)
  const groups = layout.groups.toSpliced(at, 1)
  const neighbour = groups[Math.min(at, groups.length - 1)]
  return { groups, active: layout.active === id ? (neighbour?.id ?? '') : layout.active }
}

/** Shows a tab and makes its group the active one. */
export function showTab(layout: Layout, key: string): Layout {
  const group = groupOf(layout, key)
  if (!group) return layout
  if (layout.active === group.id && group.active === key) return layout
  return { ...changeGroup(layout, group.id, one => ({ ...one, active: key })), active: group.id }
}

/** Moves a tab to a new group at the right of its own. */
export function splitTab(layout: Layout, key: string): Layout {
  const group = groupOf(layout, key)
  const tab = group?.tabs.find(one => one.key === key)
  if (!group || !tab || group.tabs.length < 2 || layout.groups.length >= MOST_GROUPS) return layout
  return addTab({ ...removeTab(layout, key), active: group.id }, tab, true)
}

export function changeTab(layout: Layout, key: string, change: Partial<TabInfo>): Layout {
  const group = groupOf(layout, key)
  if (!group) return layout
  return changeGroup(layout, group.id, one => ({
    ...one,
    tabs: one.tabs.map(tab => (tab.key === key ? { ...tab, ...change } : tab)),
  }))
}

function changeGroup(layout: Layout, id: string, change: (group: Group) => Group): Layout {
  return {
    ...layout,
    groups: layout.groups.map(group => (group.id === id ? change(group) : group)),
  }
}
