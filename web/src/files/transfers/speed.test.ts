import { expect, test } from 'vitest'
import { Speed } from './speed'

test('a speed is told after a while and smoothed from then on', () => {
  const speed = new Speed(1000, 0)
  expect(speed.take(1100, 100)).toBeUndefined()
  expect(speed.take(2000, 1000)).toBe(1000)
  expect(speed.take(4000, 2000)).toBe(1300)
})

test('a resumed transfer has no speed for what was there before', () => {
  expect(new Speed(1_000_000, 0).take(1_000_500, 500)).toBe(1000)
})
