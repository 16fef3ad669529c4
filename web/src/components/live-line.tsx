import { Tooltip } from '@mantine/core'
import { useEffect } from 'react'
import { eventsSocket, type LineState, line, startEvents } from '~/api/events'
import { createLive } from '~/api/live'
import { queries } from '~/api/queries'
import { session } from '~/api/session'
import { Status, type Tone } from '~/ui/status'
import { useStore } from '~/util/store'

/** One line of events for all that is shown. */
export function useLiveEvents() {
  const active = useStore(session).state === 'active'
  useEffect(() => {
    if (!active) return
    return startEvents({ open: eventsSocket, tell: createLive(queries) })
  }, [active])
}

const POLL_MS = 15_000

/** How often to ask while no events come. */
export function usePolling(everyMs = POLL_MS): number | false {
  return useStore(line) === 'live' ? false : everyMs
}

const SHOWN: Record<LineState, [Tone, string, string]> = {
  live: ['good', 'Live', 'What changes is shown as it happens'],
  connecting: ['idle', 'Connecting', 'Asking every 15 s meanwhile'],
  waiting: ['warn', 'Reconnecting', 'No live events at the moment; asking every 15 s meanwhile'],
  closed: ['idle', 'Paused', 'Log in again to go on'],
}

export function LiveLine() {
  const [tone, word, why] = SHOWN[useStore(line)]
  return (
    <Tooltip label={why}>
      <span role="status">
        <Status tone={tone}>{word}</Status>
      </span>
    </Tooltip>
  )
}
