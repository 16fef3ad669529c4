import type { Schemas } from '~/api/client'

export type Range = '1h' | '24h' | '7d' | '30d'

interface Span {
  seconds: number
  step: 'raw' | '1m' | '1h'
}

export const RANGES: Record<Range, Span> = {
  '1h': { seconds: 3600, step: 'raw' },
  '24h': { seconds: 86_400, step: '1m' },
  '7d': { seconds: 604_800, step: '1h' },
  '30d': { seconds: 2_592_000, step: '1h' },
}

/** Columns as uPlot takes them, in seconds, per cent and bytes a second. */
export interface Series {
  at: number[]
  cpu: (number | null)[]
  memory: (number | null)[]
  disk: (number | null)[]
  received: (number | null)[]
  sent: (number | null)[]
}

const STEP_SECONDS = { '1m': 60, '1h': 3600 }

/**
 * Machines tell how many bytes came and went since their last sample, so a rate is a sample's bytes
 * by the time since the one before, or a step's samples by its length.
 */
export function toSeries(points: Schemas['LoadPoint'][], step: Span['step']): Series {
  const series: Series = { at: [], cpu: [], memory: [], disk: [], received: [], sent: [] }
  const sorted = [...points].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  let before: number | null = null
  for (const point of sorted) {
    const at = Date.parse(point.at) / 1000
    series.at.push(at)
    if ('samples' in point) {
      const seconds = step === 'raw' ? 60 : STEP_SECONDS[step]
      const rate = (bytes: number | null | undefined) => over(times(bytes, point.samples), seconds)
      series.cpu.push(point.cpu_percent.avg ?? null)
      series.memory.push(percent(point.memory_used_bytes.avg, point.memory_total_bytes))
      series.disk.push(percent(point.disk_used_bytes.avg, point.disk_total_bytes))
      series.received.push(rate(point.network_rx_bytes.avg))
      series.sent.push(rate(point.network_tx_bytes.avg))
    } else {
      const seconds = before === null ? null : at - before
      series.cpu.push(point.cpu_percent ?? null)
      series.memory.push(percent(point.memory_used_bytes, point.memory_total_bytes))
      series.disk.push(percent(point.disk_used_bytes, point.disk_total_bytes))
      series.received.push(over(point.network_rx_bytes, seconds))
      series.sent.push(over(point.network_tx_bytes, seconds))
    }
    before = at
  }
  return series
}

type Maybe = number | null | undefined

const times = (a: Maybe, b: number): Maybe => (a === null || a === undefined ? null : a * b)

const over = (a: Maybe, b: Maybe): number | null =>
  a === null || a === undefined || !b ? null : a / b

const percent = (used: Maybe, total: Maybe): number | null => {
  const part = over(used, total)
  return part === null ? null : part * 100
}
