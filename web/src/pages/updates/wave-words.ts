import type { Schemas } from '~/api/client'
import { count } from '~/util/format'

type Wave = Schemas['RolloutWave']

/** `2 of 3: up to 10 %`. */
export function waveInWords({ wave, waves }: { wave: number; waves: number[] }): string {
  return `${wave} of ${waves.length}: up to ${waves[wave - 1] ?? 100} %`
}

const PARTS = ['completed', 'failed', 'sent', 'pending'] as const

/** The numbers of a wave, without those that are none: `3 completed, 1 failed`. */
export function countsInWords(wave: Wave): string {
  const words = PARTS.filter(part => wave[part] > 0).map(part => `${count(wave[part])} ${part}`)
  return words.join(', ') || 'no devices'
}

export const totalOf = (wave: Wave) => PARTS.reduce((sum, part) => sum + wave[part], 0)

/** Where a wave stands beside the one that is under way, both counted from 1. */
export function placeOf(
  wave: number,
  { wave: now, state }: { wave: number; state: string },
): string {
  if (wave < now) return 'has begun'
  if (wave > now)
    return state === 'running' || state === 'paused' ? 'still to begin' : 'never began'
  if (state === 'running') return 'under way'
  return state === 'failed' ? 'stopped by itself' : state
}

/** From when on the next wave may begin; null where there is none to come. */
export function nextWaveAt(rollout: Schemas['Rollout']): string | null {
  if (rollout.state !== 'running' || rollout.wave >= rollout.waves.length) return null
  return new Date(Date.parse(rollout.wave_began_at) + rollout.soak_seconds * 1000).toISOString()
}
