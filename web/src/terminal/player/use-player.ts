import { create, type Player } from 'asciinema-player'
import { type RefObject, useEffect, useState } from 'react'
import { fromAnswer } from '~/api/problem'
import { authorizedFetch } from '~/api/transport'
import type { Moment } from './moments'

export interface PlayerOptions {
  /** Seconds after which nothing happens that are shown at most. */
  idleLimit: number | undefined
  marks: Moment[]
}

/** A player in `place`; made anew when its options change, at the moment where it was. */
export function usePlayer(
  place: RefObject<HTMLElement | null>,
  cast: string | undefined,
  { idleLimit, marks }: PlayerOptions,
): Player | undefined {
  const [player, setPlayer] = useState<Player>()
  useEffect(() => {
    const element = place.current
    if (!element || cast === undefined) return
    const made = create({ data: cast }, element, {
      fit: 'width',
      preload: true,
      theme: 'asciinema',
      terminalFontFamily: 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace',
      markers: marks.map(({ time, label }) => [time, label]),
      ...(idleLimit === undefined ? {} : { idleTimeLimit: idleLimit }),
    })
    setPlayer(made)
    return () => {
      setPlayer(undefined)
      made.dispose()
    }
  }, [place, cast, idleLimit, marks])
  return player
}

/** The recording itself, in asciicast; of one that is written, what is there so far. */
export async function fetchCast(recordingId: string): Promise<string> {
  const response = await authorizedFetch(castPath(recordingId))
  if (!response.ok) throw fromAnswer(response, await response.json().catch(() => null))
  return await response.text()
}

export function castPath(recordingId: string): string {
  return `/api/recordings/${encodeURIComponent(recordingId)}/cast`
}
