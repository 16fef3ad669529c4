const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export function bytes(count: number | null | undefined): string {
  if (count === null || count === undefined) return '–'
  let value = count
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < BYTES.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${BYTES[unit]}`
}

export function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : `${Math.round(value)} %`
}

export function share(
  used: number | null | undefined,
  total: number | null | undefined,
): number | null {
  return used === null || used === undefined || !total ? null : (used / total) * 100
}

/** The two largest units: `3 d 4 h`, `12 min`, `8 s`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '–'
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)} ms`
  const whole = Math.max(0, Math.round(seconds))
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor((whole % 86_400) / 3600), 'h'],
    [Math.floor((whole % 3600) / 60), 'min'],
    [whole % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0 s'
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** `1 device`, `2 devices`. */
export function plural(value: number, noun: string, nouns = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : nouns}`
}

/** A word of the API as a person reads it: `agent_offline` → `agent offline`. */
export function words(code: string): string {
  return code.replaceAll('_', ' ')
}
