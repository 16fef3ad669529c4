import { expect, test } from 'vitest'
import { toSeries } from './history'

test('samples become shares, and rates by the time between them', () => {
  const series = toSeries(
    [
      {
        at: '2026-01-01T00:01:00Z',
        cpu_percent: 5,
        memory_used_bytes: 1,
        memory_total_bytes: 4,
        network_rx_bytes: 600,
      },
      { at: '2026-01-01T00:00:00Z', cpu_percent: 3, network_rx_bytes: 100 },
    ],
    'raw',
  )
  expect(series.cpu).toEqual([3, 5])
  expect(series.memory).toEqual([null, 25])
  expect(series.received).toEqual([null, 10])
})

test('a minute of two samples has their sum as its bytes', () => {
  const none = { avg: null, min: null, max: null }
  const series = toSeries(
    [
      {
        at: '2026-01-01T00:00:00Z',
        samples: 2,
        cpu_percent: { avg: 7 },
        memory_used_bytes: none,
        disk_used_bytes: none,
        network_rx_bytes: { avg: 300 },
        network_tx_bytes: none,
      },
    ],
    '1m',
  )
  expect(series.cpu).toEqual([7])
  expect(series.received).toEqual([10])
  expect(series.sent).toEqual([null])
})
