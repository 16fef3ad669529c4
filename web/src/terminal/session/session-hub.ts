/**
 * The links of this page, one for each session however many terminals it shows, and who uses each session. A session
 * that this page has opened is ended a while after its last use, as a technician may have only so many, unless something
 * goes on in it: the same session may be used by another window or tool.
 */

import { api, body } from '~/api/client'
import { endSession, ensureSession, findSession } from '~/api/tunnel-session'
import { isOver } from './link-state'
import { tunnelWorld } from './tunnel-world'
import { ViewerLink } from './viewer-link'

const GRACE_MS = 120_000

/** A use of a session; whoever has one releases it once. */
export interface Lease {
  sessionId: string
  /** Without `end` something of it is to run on, so that the session is left as it is. */
  release(end: boolean): void
}

interface Entry {
  uses: number
  /** It was opened by this page. */
  opened: boolean
  /** Somebody left something running in it. */
  kept: boolean
  link: ViewerLink | undefined
  ending: ReturnType<typeof setTimeout> | undefined
}

const entries = new Map<string, Entry>()

function entryOf(sessionId: string, readOnly: boolean): Entry {
  const key = `${sessionId} ${readOnly}`
  let entry = entries.get(key)
  if (!entry) {
    entry = { uses: 0, opened: false, kept: false, link: undefined, ending: undefined }
    entries.set(key, entry)
  }
  return entry
}

/** Uses the caller's session to a device; it is opened where there is none. */
export async function leaseAgent(agentId: string): Promise<Lease> {
  const there = await findSession(agentId)
  if (there) return leaseSession(there)
  const opened = await ensureSession(agentId)
  entryOf(opened, false).opened = true
  return leaseSession(opened)
}

/** Uses a session that is there. */
export function leaseSession(sessionId: string, readOnly = false): Lease {
  const entry = entryOf(sessionId, readOnly)
  entry.uses += 1
  clearTimeout(entry.ending)
  let released = false
  return {
    sessionId,
    release(end) {
      if (released) return
      released = true
      entry.uses -= 1
      if (!end) entry.kept = true
      if (entry.uses === 0) leave(sessionId, readOnly, entry)
    },
  }
}

/** The link of a session in use. */
export function linkOf(sessionId: string, readOnly = false): ViewerLink {
  const entry = entryOf(sessionId, readOnly)
  if (!entry.link || isOver(entry.link.state.get())) {
    entry.link = new ViewerLink(sessionId, tunnelWorld, readOnly)
  }
  return entry.link
}

function leave(sessionId: string, readOnly: boolean, entry: Entry): void {
  const over = entry.link && isOver(entry.link.state.get())
  entry.link?.close()
  entry.link = undefined
  if (entry.kept || readOnly || over || !entry.opened) return
  // Where it has ended by itself, or cannot be asked, it is left alone.
  const end = () => endIfIdle(sessionId).catch(() => undefined)
  entry.ending = setTimeout(end, GRACE_MS)
}

async function endIfIdle(sessionId: string): Promise<void> {
  const session = await body(
    api.GET('/api/v1/tunnel/status/{session_id}', { params: { path: { session_id: sessionId } } }),
  )
  const runs = session.channels.some(channel => channel.state.state === 'running')
  const idleMs = Date.now() - Date.parse(session.last_activity)
  if (!runs && idleMs >= GRACE_MS / 2) await endSession(sessionId)
}
