/**
 * Uploads in their order: which run, which wait, how far each is. Pure; what runs them asks {@link startable} after each
 * step.
 *
 * ```text
 *   waiting ──▶ checking ──▶ running ──▶ done
 *      ▲            │           │ ├──▶ retrying ──▶ (waiting, after a while)
 *      │            └─▶ paused ◀┘ └──▶ failed
 *      └──── resume, retry ──┴───────────┘          cancelled: it is gone
 * ```
 */

export type TransferState =
  | 'waiting'
  /** Its SHA-256 is made, which names the upload and proves it. */
  | 'checking'
  | 'running'
  | 'retrying'
  | 'paused'
  | 'done'
  | 'failed'

export interface Transfer {
  id: string
  /** Where it goes. */
  path: string
  size: number
  state: TransferState
  /** Bytes that were checked. */
  checked: number
  /** Bytes that the machine has, or that are on their way there. */
  sent: number
  /** Bytes a second of late; none before there is something to go by. */
  speed: number | undefined
  sha256: string | undefined
  overwrite: boolean
  error: unknown
}

/** Uploads that run at the same time. */
export const MOST_RUNNING = 2

export type TransferEvent =
  | { type: 'added'; id: string; path: string; size: number; overwrite: boolean }
  | { type: 'began'; id: string }
  | { type: 'checked'; id: string; bytes: number }
  | { type: 'named'; id: string; sha256: string }
  | { type: 'progressed'; id: string; bytes: number; speed: number | undefined }
  | { type: 'paused'; id: string }
  /** Goes on, or is tried again. */
  | { type: 'resumed'; id: string; overwrite?: boolean }
  | { type: 'broke'; id: string; error: unknown }
  | { type: 'failed'; id: string; error: unknown }
  | { type: 'finished'; id: string }
  | { type: 'removed'; id: string }
  | { type: 'cleared' }

export type Queue = readonly Transfer[]

export function isActive(transfer: Transfer): boolean {
  return transfer.state === 'checking' || transfer.state === 'running'
}

export function isOver(transfer: Transfer): boolean {
  return transfer.state === 'done' || transfer.state === 'failed'
}

/** What may begin now, the oldest first. */
export function startable(queue: Queue): Transfer[] {
  const room = MOST_RUNNING - queue.filter(isActive).length
  if (room <= 0) return []
  return queue.filter(transfer => transfer.state === 'waiting').slice(0, room)
}

export function step(queue: Queue, event: TransferEvent): Queue {
  switch (event.type) {
    case 'added':
      return [...queue, newTransfer(event)]
    case 'removed':
      return queue.filter(transfer => transfer.id !== event.id)
    case 'cleared':
      return queue.filter(transfer => !isOver(transfer))
    default:
      return queue.map(transfer => (transfer.id === event.id ? change(transfer, event) : transfer))
  }
}

function newTransfer(event: Extract<TransferEvent, { type: 'added' }>): Transfer {
  const { id, path, size, overwrite } = event
  return {
    id,
    path,
    size,
    overwrite,
    state: 'waiting',
    checked: 0,
    sent: 0,
    speed: undefined,
    sha256: undefined,
    error: undefined,
  }
}

type Change = Exclude<TransferEvent, { type: 'added' | 'removed' | 'cleared' }>

function change(transfer: Transfer, event: Change): Transfer {
  const { state } = transfer
  switch (event.type) {
    case 'began': {
      if (state !== 'waiting') return transfer
      return { ...transfer, state: transfer.sha256 ? 'running' : 'checking', error: undefined }
    }
    case 'checked':
      return state === 'checking' ? { ...transfer, checked: event.bytes } : transfer
    case 'named':
      return state === 'checking'
        ? { ...transfer, state: 'running', sha256: event.sha256, checked: transfer.size }
        : transfer
    case 'progressed':
      return state === 'running' ? { ...transfer, sent: event.bytes, speed: event.speed } : transfer
    case 'paused':
      return isOver(transfer) ? transfer : still(transfer, 'paused')
    case 'resumed':
      if (state !== 'paused' && state !== 'failed' && state !== 'retrying') return transfer
      return {
        ...still(transfer, 'waiting'),
        overwrite: event.overwrite ?? transfer.overwrite,
        error: undefined,
      }
    case 'broke':
      return isActive(transfer) ? { ...still(transfer, 'retrying'), error: event.error } : transfer
    case 'failed':
      return isActive(transfer) ? { ...still(transfer, 'failed'), error: event.error } : transfer
    case 'finished':
      return isActive(transfer) ? { ...still(transfer, 'done'), sent: transfer.size } : transfer
  }
}

function still(transfer: Transfer, state: TransferState): Transfer {
  return { ...transfer, state, speed: undefined }
}

/** How much of all is done, between 0 and 1. */
export function share(queue: Queue): number {
  const all = queue.reduce((sum, transfer) => sum + transfer.size, 0)
  const sent = queue.reduce((sum, transfer) => sum + transfer.sent, 0)
  return all === 0 ? 1 : sent / all
}
