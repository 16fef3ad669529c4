import { expect, test } from 'vitest'
import { clock, marksOf, momentAt } from './moments'

test('marks are what an index marks', () => {
  const entry = { offset: 0, stream: 0 }
  const marks = marksOf([
    { ...entry, kind: 'position', time: 1 },
    { ...entry, kind: 'marker', time: 2, label: 'ls' },
    { ...entry, kind: 'marker', time: 3, label: null },
    { ...entry, kind: 'key_frame', time: 4 },
  ])
  expect(marks).toEqual([
    { time: 2, label: 'ls' },
    { time: 3, label: 'mark' },
  ])
})

test('the moment that plays is the last one that has begun', () => {
  const moments = [2, 5, 9].map(time => ({ time, label: '' }))
  expect([0, 2, 4.9, 5, 100].map(time => momentAt(moments, time))).toEqual([-1, 0, 0, 1, 2])
})

test.each([
  [0, '0:00'],
  [62.9, '1:02'],
  [3723, '1:02:03'],
])('%d s is %s', (seconds, text) => {
  expect(clock(seconds)).toBe(text)
})
