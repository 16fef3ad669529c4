import { useSyncExternalStore } from 'react'

const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [60, 'second'],
  [60, 'minute'],
  [24, 'hour'],
  [30, 'day'],
  [12, 'month'],
  [Number.POSITIVE_INFINITY, 'year'],
]

const relativeFormat = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })
const absoluteFormat = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'long',
})

export function relative(at: number, now: number): string {
  let value = (at - now) / 1000
  if (Math.abs(value) < 5) return 'now'
  for (const [size, unit] of STEPS) {
    if (Math.abs(value) < size) return relativeFormat.format(Math.trunc(value), unit)
    value /= size
  }
  return absoluteFormat.format(at)
}

export function absolute(at: number): string {
  return absoluteFormat.format(at)
}

// One clock for all relative times of a page.
const TICK_MS = 10_000
let now = Date.now()
const watchers = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined

function watch(watcher: () => void): () => void {
  watchers.add(watcher)
  timer ??= setInterval(() => {
    now = Date.now()
    for (const one of watchers) one()
  }, TICK_MS)
  return () => {
    watchers.delete(watcher)
    if (watchers.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
  }
}

export function useNow(): number {
  return useSyncExternalStore(watch, () => now)
}
