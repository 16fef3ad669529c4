import { expect, test } from 'vitest'
import type { Schemas } from '~/api/client'
import { planInWords, platformsOf, readWaves, versionsOf, wholeNumber } from './plan'

const release = (version: string, platform = 'linux-x86_64', change = {}) =>
  ({
    id: `${version} ${platform}`,
    version,
    platform,
    channel: 'stable',
    expired: false,
    ...change,
  }) as Schemas['Release']

test('waves are read with commas, spaces and signs', () => {
  for (const text of ['1, 10, 100', '1 10 100', '1%,10%,100%', ' 1;10;100 ']) {
    expect(readWaves(text)).toEqual({ waves: [1, 10, 100] })
  }
  expect(readWaves('100')).toEqual({ waves: [100] })
})

test.each([
  ['', 'commas'],
  ['ten', 'ten is no percentage'],
  ['1, 1.5, 100', '1.5 is no percentage'],
  ['0, 100', 'from 1 to 100'],
  ['1, 101', 'from 1 to 100'],
  ['10, 10, 100', '10 is not larger'],
  ['50, 10, 100', '10 is not larger'],
  ['1, 10', 'the last has to be 100'],
  [Array.from({ length: 21 }, (_, at) => at + 80).join(), 'at most 20'],
])('the waves %j are refused as one types', (text, why) => {
  const read = readWaves(text)
  expect('why' in read && read.why).toContain(why)
})

test('a plan is told in words', () => {
  expect(planInWords([1, 10, 100], '1 h')).toBe(
    'First 1 % of the devices, then 10 %, then 100 %; each wave lasts at least 1 h.',
  )
  expect(planInWords([100], '1 h')).toBe('All devices get it at once.')
})

test('a number is whole and within its bounds, or none', () => {
  expect(wholeNumber('5', 0, 100)).toBe(5)
  expect(wholeNumber(0, 0, 100)).toBe(0)
  for (const value of ['', '5.5', 101, -1, 'five']) expect(wholeNumber(value, 0, 100)).toBeNull()
})

test('a channel offers its versions once each, the newest first, without the expired', () => {
  const releases = [
    release('0.9.0'),
    release('0.10.0'),
    release('0.10.0', 'windows-x86_64'),
    release('0.11.0', 'linux-x86_64', { expired: true }),
    release('0.12.0', 'linux-x86_64', { channel: 'beta' }),
  ]
  expect(versionsOf(releases, 'stable')).toEqual(['0.10.0', '0.9.0'])
  expect(versionsOf(releases, 'beta')).toEqual(['0.12.0'])
  expect(platformsOf(releases, 'stable', '0.10.0').map(one => one.platform)).toEqual([
    'linux-x86_64',
    'windows-x86_64',
  ])
})
