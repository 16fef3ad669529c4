import { createStore } from '~/util/store'

/** What the server tells as it happens; other types are ignored. */
export type LiveEvent =
  | { type: 'hello' }
  | { type: 'resync' }
  | {
      type: 'agent'
      agent_id: string
      status: string
      state?: string
      last_seen?: string | null
      cpu_percent?: number | null
      memory_percent?: number | null
      disk_percent?: number | null
    }
  | { type: 'agent_changed'; agent_id: string }
  | { type: 'alert'; alert_id: string; agent_id: string | null; status: string }
  | { type: 'command'; command_id: string; agent_id: string; status: string }
  | { type: 'job'; job_id: string }
  | { type: 'agent_update'; agent_id: string }
  | { type: 'rollout'; rollout_id: string }
  | { type: 'session'; session_id: string; agent_id: string; status: string }

/**
 *     closed ──▶ connecting ──hello──▶ live
 *                    ▲ └──lost──▶ waiting
 *                    └─────────────┘ back-off with jitter
 *
 * While it is not `live`, lists ask again by themselves.
 */
export type LineState = 'closed' | 'connecting' | 'live' | 'waiting'

export const line = createStore<LineState>('closed')

interface Socket {
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: (() => void) | null
  close(): void
}

interface EventsOptions {
  open: () => Socket
  /** Called for each event, and with `resync` after a gap, as a connection that was lost makes one. */
  tell: (event: LiveEvent) => void
  random?: () => number
}

const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 30_000

export function startEvents({ open, tell, random = Math.random }: EventsOptions): () => void {
  let failures = 0
  let missed = false
  let stopped = false
  let socket: Socket | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  const connect = () => {
    line.set('connecting')
    socket = open()
    socket.onmessage = ({ data }) => {
      const event = parse(data)
      if (!event) return
      if (event.type === 'hello') {
        failures = 0
        line.set('live')
        if (missed) tell({ type: 'resync' })
        missed = true
        return
      }
      tell(event)
    }
    socket.onclose = () => {
      if (stopped) return
      line.set('waiting')
      timer = setTimeout(connect, wait(failures, random))
      failures += 1
    }
  }

  const hurry = () => {
    if (line.get() !== 'waiting') return
    clearTimeout(timer)
    failures = 0
    connect()
  }

  addEventListener('online', hurry)
  connect()
  return () => {
    stopped = true
    removeEventListener('online', hurry)
    clearTimeout(timer)
    socket?.close()
    line.set('closed')
  }
}

/** Between half and the whole of 1 s, 2 s, 4 s … 30 s, so that browsers do not come back all at once. */
export function wait(failures: number, random: () => number): number {
  const bound = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures)
  return bound / 2 + (bound / 2) * random()
}

function parse(data: unknown): LiveEvent | null {
  if (typeof data !== 'string') return null
  try {
    const event = JSON.parse(data)
    return event && typeof event.type === 'string' ? event : null
  } catch {
    return null
  }
}

export function eventsSocket(): Socket {
  const url = new URL('/api/events', location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  return new WebSocket(url) as Socket
}
