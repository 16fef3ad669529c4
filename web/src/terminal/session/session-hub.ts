/**
 * The links of this page, one for each session however many terminals it shows, and who uses each session. A session
 * that was opened for work on this page is ended a while after its last use, as a technician may have only so many.
 */

import { endSession, ensureSession } from '~/api/tunnel-session'
import { isOver } from './link-state'
import { tunnelWorld } from './tunnel-world'
import { ViewerLink } from './viewer-link'

const GRACE_MS = 60_000

/** A use of a session; whoever has one releases it once. */
export interface Lease {
  sessionId: string
  /** Without `end` something of it is to run on, so that the session is left as it is. */
  release(end: boolean): void
}

interface Entry {
  uses: number
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
    entry = { uses: 0, kept: false, link: undefined, ending: undefined }
    entries.set(key, entry)
  }
  return entry
}

/** Uses the caller's session to a device; it is opened where there is none. */
export async function leaseAgent(agentId: string): Promise<Lease> {
  return leaseSession(await ensureSession(agentId))
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
  const others = (entry.link?.view.get().viewers.length ?? 1) > 1
  const over = entry.link && isOver(entry.link.state.get())
  entry.link?.close()
  entry.link = undefined
  if (entry.kept || readOnly || others || over) return
  entry.ending = setTimeout(() => {
    // It may have ended by itself, which is as good.
    endSession(sessionId).catch(() => undefined)
  }, GRACE_MS)
}
