import { Skeleton } from '@mantine/core'
import { lazy, Suspense } from 'react'

const Player = lazy(() => import('./recording-player'))

/** Plays a recording of a terminal; the player comes when it is first needed. */
export function RecordingPlayer({ recordingId }: { recordingId: string }) {
  return (
    <Suspense fallback={<Skeleton height={420} aria-label="Loading the player" />}>
      <Player key={recordingId} recordingId={recordingId} />
    </Suspense>
  )
}
