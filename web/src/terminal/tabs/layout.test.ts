import { describe, expect, test } from 'vitest'
import {
  activeTab,
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

const tab = (key: string): TabInfo => ({ key, agentId: 'agent', agentName: 'WS-042' })
const of = (...keys: string[]) => keys.reduce((layout, key) => addTab(layout, tab(key)), EMPTY)
/** `a [b] | [c]`: groups, and the tab that each shows. */
const drawn = (layout: Layout) =>
  layout.groups
    .map(group =>
      group.tabs.map(one => (one.key === group.active ? `[${one.key}]` : one.key)).join(' '),
    )
    .join(' | ')

test('a new tab stands last and is shown', () => {
  expect(drawn(of('a', 'b'))).toBe('a [b]')
  expect(activeTab(of('a', 'b'))?.key).toBe('b')
})

test('a split stands at the right of the active group and takes new tabs', () => {
  const split = addTab(of('a', 'b'), tab('c'), true)
  expect(drawn(split)).toBe('a [b] | [c]')
  expect(drawn(addTab(split, tab('d')))).toBe('a [b] | c [d]')
  expect(drawn(addTab(showTab(split, 'a'), tab('d'), true))).toBe('[a] b | [d] | [c]')
})

test('there are only so many groups', () => {
  let layout = of('a')
  for (const key of ['b', 'c', 'd', 'e']) layout = addTab(layout, tab(key), true)
  expect(layout.groups).toHaveLength(MOST_GROUPS)
  expect(tabsOf(layout)).toHaveLength(5)
})

describe('a tab that is taken away', () => {
  test('leaves its neighbour to be shown', () => {
    expect(drawn(removeTab(of('a', 'b', 'c'), 'c'))).toBe('a [b]')
    expect(drawn(removeTab(showTab(of('a', 'b', 'c'), 'a'), 'a'))).toBe('[b] c')
    expect(drawn(removeTab(of('a', 'b', 'c'), 'a'))).toBe('b [c]')
  })

  test('takes an empty group along', () => {
    const split = addTab(of('a'), tab('b'), true)
    expect(drawn(removeTab(split, 'b'))).toBe('[a]')
    expect(activeTab(removeTab(split, 'b'))?.key).toBe('a')
    expect(removeTab(of('a'), 'a')).toEqual(EMPTY)
  })

  test('changes nothing where it is not there', () => {
    expect(removeTab(EMPTY, 'x')).toBe(EMPTY)
  })
})

test('a tab moves to a group of its own, unless it is alone', () => {
  expect(drawn(splitTab(of('a', 'b'), 'a'))).toBe('[b] | [a]')
  expect(drawn(splitTab(of('a'), 'a'))).toBe('[a]')
})

test('what is known of a tab changes in place', () => {
  const layout = changeTab(of('a', 'b'), 'a', { channelId: 'terminal-1' })
  expect(tabsOf(layout)[0]?.channelId).toBe('terminal-1')
  expect(drawn(layout)).toBe('a [b]')
})
