import type { Schemas } from '~/api/client'
import { newerFirst } from '~/util/version'

type Release = Schemas['Release']
export type Channel = 'stable' | 'beta'

const MOST_WAVES = 20

/** Percentages as they are typed, `1, 10, 100`, or why they are no waves. */
export function readWaves(text: string): { waves: number[] } | { why: string } {
  const parts = text.split(/[\s,;%]+/).filter(Boolean)
  if (parts.length === 0) return { why: 'percentages with commas between them, as 1, 10, 100' }
  const odd = parts.find(part => !/^\d{1,3}$/.test(part))
  if (odd) return { why: `${odd} is no percentage; write whole numbers from 1 to 100` }
  const waves = parts.map(Number)
  if (waves.length > MOST_WAVES) return { why: `at most ${MOST_WAVES} waves; leave some out` }
  if (waves.some(wave => wave < 1 || wave > 100)) return { why: 'each has to be from 1 to 100' }
  const falls = waves.find((wave, at) => at > 0 && wave <= (waves[at - 1] ?? 0))
  if (falls !== undefined)
    return {
      why: `${falls} is not larger than the one before; each wave has the earlier ones in it`,
    }
  if (waves.at(-1) !== 100)
    return { why: 'the last has to be 100; without it some devices would never get it' }
  return { waves }
}

/** What a person reads of a plan before it begins. */
export function planInWords(waves: number[], soakText: string): string {
  const [first, ...others] = waves
  if (others.length === 0) return 'All devices get it at once.'
  const later = others.map(wave => `${wave} %`).join(', then ')
  return `First ${first} % of the devices, then ${later}; each wave lasts at least ${soakText}.`
}

/** Whole numbers alone; null where there is none between the bounds. */
export function wholeNumber(value: number | string, least: number, most: number): number | null {
  if (value === '') return null
  const number = Number(value)
  return Number.isInteger(number) && number >= least && number <= most ? number : null
}

/** What can be rolled out in a channel: not expired, the newest version first. */
export function versionsOf(releases: Release[], channel: Channel): string[] {
  const fit = releases.filter(release => release.channel === channel && !release.expired)
  return [...new Set(fit.map(release => release.version))].sort(newerFirst)
}

export function platformsOf(releases: Release[], channel: Channel, version: string): Release[] {
  return releases
    .filter(one => one.channel === channel && one.version === version && !one.expired)
    .sort((a, b) => a.platform.localeCompare(b.platform))
}
