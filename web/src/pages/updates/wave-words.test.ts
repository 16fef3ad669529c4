import { expect, test } from 'vitest'
import type { Schemas } from '~/api/client'
import { countsInWords, nextWaveAt, placeOf, totalOf, waveInWords } from './wave-words'

const counts = (completed: number, failed: number, sent: number, pending: number) =>
  ({ percent: 10, completed, failed, sent, pending }) as Schemas['RolloutWave']

const rollout = (change: object = {}) =>
  ({
    state: 'running',
    wave: 1,
    waves: [10, 100],
    wave_began_at: '2026-01-01T00:00:00Z',
    soak_seconds: 3600,
    ...change,
  }) as Schemas['Rollout']

test('a wave tells its numbers, and leaves out those that are none', () => {
  expect(countsInWords(counts(1200, 1, 0, 3))).toBe('1,200 completed, 1 failed, 3 pending')
  expect(countsInWords(counts(0, 0, 2, 0))).toBe('2 sent')
  expect(countsInWords(counts(0, 0, 0, 0))).toBe('no devices')
  expect(totalOf(counts(1, 2, 3, 4))).toBe(10)
})

test('it says which wave is under way', () => {
  expect(waveInWords(rollout())).toBe('1 of 2: up to 10 %')
  expect(placeOf(1, rollout({ wave: 2 }))).toBe('has begun')
  expect(placeOf(2, rollout({ wave: 2 }))).toBe('under way')
  expect(placeOf(2, rollout())).toBe('still to begin')
  expect(placeOf(2, rollout({ state: 'stopped' }))).toBe('never began')
  expect(placeOf(1, rollout({ state: 'paused' }))).toBe('paused')
  expect(placeOf(1, rollout({ state: 'failed' }))).toBe('stopped by itself')
})

test('the next wave begins when this one has lasted, and after the last there is none', () => {
  expect(nextWaveAt(rollout())).toBe('2026-01-01T01:00:00.000Z')
  expect(nextWaveAt(rollout({ wave: 2 }))).toBeNull()
  expect(nextWaveAt(rollout({ state: 'paused' }))).toBeNull()
})
