import { expect, test } from 'vitest'
import { bytes, duration, plural, share } from './format'
import { relative } from './time'

test('bytes are told in binary units', () => {
  expect(bytes(0)).toBe('0 B')
  expect(bytes(1536)).toBe('1.5 KiB')
  expect(bytes(512 * 1024 ** 3)).toBe('512 GiB')
  expect(bytes(null)).toBe('–')
})

test('a duration has at most two units', () => {
  expect(duration(8)).toBe('8 s')
  expect(duration(3600)).toBe('1 h')
  expect(duration(3 * 86_400 + 4 * 3600 + 59)).toBe('3 d 4 h')
  expect(duration(0.25)).toBe('250 ms')
})

test('a share of nothing is unknown', () => {
  expect(share(5, 0)).toBeNull()
  expect(share(5, 10)).toBe(50)
})

test('nouns follow their number', () => {
  expect(plural(1, 'device')).toBe('1 device')
  expect(plural(3000, 'device')).toBe('3,000 devices')
})

test('a moment is told as people say it', () => {
  expect(relative(1_000_000, 1_002_000)).toBe('now')
  expect(relative(1_000_000, 1_120_000)).toBe('2 min. ago')
})
