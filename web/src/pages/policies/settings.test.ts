import { expect, test } from 'vitest'
import { flatSettings, GROUPS, read, write } from './settings'

test('a value is written where its path says, and nothing else changes', () => {
  const before = { metrics: { interval_seconds: 60 } }
  const after = write(before, 'alerts.cpu.above_percent', 90)
  expect(after).toEqual({
    metrics: { interval_seconds: 60 },
    alerts: { cpu: { above_percent: 90 } },
  })
  expect(before).toEqual({ metrics: { interval_seconds: 60 } })
})

test('what is unset leaves no empty groups', () => {
  const set = write({}, 'alerts.cpu.above_percent', 90)
  expect(write(set, 'alerts.cpu.above_percent', undefined)).toEqual({})
})

test('an empty list is a value', () => {
  expect(write({}, 'tunnel.roles', [])).toEqual({ tunnel: { roles: [] } })
})

test('a value is read, or is missing', () => {
  expect(read({ update: { channel: 'beta' } }, 'update.channel')).toBe('beta')
  expect(read({}, 'update.channel')).toBeUndefined()
})

test('all values are listed by path', () => {
  expect(
    flatSettings({ tunnel: { roles: ['technician'] }, alerts: { cpu: { enabled: true } } }),
  ).toEqual([
    ['tunnel.roles', '["technician"]'],
    ['alerts.cpu.enabled', 'true'],
  ])
})

test('a policy can say which channel of updates a device follows', () => {
  const setting = GROUPS.flatMap(group => group.settings).find(
    ({ path }) => path === 'update.channel',
  )
  expect(setting).toMatchObject({ kind: 'choice', choices: ['stable', 'beta', 'off'] })
})
