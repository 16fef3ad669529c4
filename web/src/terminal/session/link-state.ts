/**
 * How a viewer's connection is:
 *
 * ```text
 *   connecting ──▶ connected ◀──▶ suspended (the server waits for the machine)
 *       ▲              │
 *       └─ reconnecting ◀┘         closed · failed: for good
 * ```
 */
export type LinkState =
  | { state: 'connecting' }
  | { state: 'connected' }
  | { state: 'suspended'; graceSeconds: number }
  | { state: 'reconnecting'; why: string }
  | { state: 'closed'; reason: string }
  | { state: 'failed'; why: string }

/** Whether nothing more will come. */
export function isOver(link: LinkState): boolean {
  return link.state === 'closed' || link.state === 'failed'
}

/** Close codes after which coming back makes no sense. */
const FINAL: Record<number, string> = {
  4001: 'this terminal was opened elsewhere',
}

/** What a socket's end means; a session's own end is told by `session_closed` before. */
export function afterClose(code: number, reason: string): LinkState {
  const final = FINAL[code]
  if (final) return { state: 'failed', why: final }
  if (code === 1000) return { state: 'closed', reason: 'session_closed' }
  if (code === 1008 && reason === 'too many viewers') {
    return { state: 'failed', why: 'too many people watch this session already' }
  }
  return { state: 'reconnecting', why: whyLost(code, reason) }
}

function whyLost(code: number, reason: string): string {
  switch (code) {
    case 1001:
      return 'the server restarts'
    case 1006:
      return 'the connection was lost'
    case 4008:
      return 'this window was too slow'
    default:
      return reason || `the connection ended (${code})`
  }
}

const CLOSE_REASONS: Record<string, string> = {
  closed_by_technician: 'The session was ended.',
  idle_timeout: 'The session was idle for too long.',
  session_too_long: 'The session reached the longest time that the policy allows.',
  agent_disconnected: 'The device lost its connection.',
  agent_closed: 'The device ended the session.',
  agent_refused: 'The device refused the session.',
  open_timed_out: 'The device did not answer in time.',
  access_revoked: 'Your access was revoked.',
  agent_deleted: 'The device was deleted.',
  agent_moved: 'The device was moved to another site.',
  server_stopped: 'The server was stopped.',
  server_crashed: 'The server was interrupted.',
  fault: 'The server had a fault.',
  session_closed: 'The session is over.',
}

/** Why a session is over, in words. */
export function closeReason(reason: string): string {
  return CLOSE_REASONS[reason] ?? `The session is over (${reason}).`
}
