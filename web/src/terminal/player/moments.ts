/** Moments of a recording: what its index marks and what a search finds. */

import { api, body, type Schemas } from '~/api/client'

type Entry = Schemas['RecordingEntry']

export interface Moment {
  /** Seconds since the beginning. */
  time: number
  label: string
}

/** The marks of an index. */
export function marksOf(entries: Entry[]): Moment[] {
  return entries
    .filter(entry => entry.kind === 'marker')
    .map(({ time, label }) => ({ time, label: label ?? 'mark' }))
}

/** The last moment that is not after `time`. */
export function momentAt(moments: Moment[], time: number): number {
  return moments.findLastIndex(moment => moment.time <= time)
}

/** `1:02:03`, `2:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const parts = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  const shown = parts[0] ? parts : parts.slice(1)
  return shown.map((part, at) => (at === 0 ? `${part}` : `${part}`.padStart(2, '0'))).join(':')
}

export async function fetchMarks(recordingId: string): Promise<Moment[]> {
  const index = await body(
    api.GET('/api/recordings/{id}/index', { params: { path: { id: recordingId } } }),
  )
  return marksOf(index.entries)
}

/** A query that the server's description leaves out. */
function undescribed(query: Record<string, string | number | undefined>): undefined {
  return query as unknown as undefined
}

export interface Found {
  moments: Moment[]
  /** Where the search goes on. */
  next: number | undefined
}

export async function search(recordingId: string, text: string, from?: number): Promise<Found> {
  const answer = await body(
    api.GET('/api/recordings/{id}/search', {
      params: { path: { id: recordingId }, query: undescribed({ text, from }) },
    }),
  )
  const moments = answer.items.map(({ time, text: label }) => ({ time, label }))
  return { moments, next: answer.next_from ?? undefined }
}
