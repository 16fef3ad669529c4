import { afterEach, expect, test } from 'vitest'
import { prefer, preferences, recall } from './preferences'

afterEach(() => localStorage.clear())

test('what was chosen is there after a reload', () => {
  prefer({ fontSize: 18, theme: 'light' })
  expect(recall()).toMatchObject({ fontSize: 18, theme: 'light' })
})

test('a font is neither too small nor too large to get back from', () => {
  prefer({ fontSize: 1000 })
  expect(preferences.get().fontSize).toBe(32)
  prefer({ fontSize: -3 })
  expect(preferences.get().fontSize).toBe(8)
})

test.each(['', 'null', '[]', '{"fontSize":"x","theme":"__proto__"}', '{'])(
  '%j in the storage does no harm',
  kept => {
    localStorage.setItem('gururmm.terminal', kept)
    expect(recall()).toMatchObject({ fontSize: 13, theme: 'auto' })
  },
)

test('nothing but likings is kept', () => {
  prefer({ fontSize: 14 })
  expect(Object.keys(localStorage)).toEqual(['gururmm.terminal'])
})
