/** What links need of the server: tickets by the API, streams by WebSocket. */

import { api, body } from '~/api/client'
import { ApiError } from '~/api/problem'
import type { LinkState } from './link-state'
import type { LinkWorld } from './viewer-link'

/** 401 comes only where the log-in was not renewed; it is asked for over the page before. */
const PASSING = [0, 408, 425, 429]

function isPassing(error: unknown): boolean {
  return !(error instanceof ApiError) || PASSING.includes(error.status) || error.status >= 500
}

function outcome(error: unknown): LinkState {
  if (!(error instanceof ApiError)) return { state: 'failed', why: 'something went wrong' }
  if (error.status === 404 || error.code === 'session_closed') {
    return { state: 'closed', reason: 'session_closed' }
  }
  return { state: 'failed', why: error.message }
}

async function ticket(sessionId: string, readOnly: boolean): Promise<string> {
  const answer = await body(
    api.POST('/api/v1/tunnel/{session_id}/ticket', {
      params: { path: { session_id: sessionId } },
      body: { read_only: readOnly },
    }),
  )
  return answer.ticket
}

function open(sessionId: string, query: URLSearchParams): WebSocket {
  const url = new URL(`/api/v1/tunnel/${encodeURIComponent(sessionId)}/stream`, location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.search = query.toString()
  return new WebSocket(url)
}

export const tunnelWorld: LinkWorld = { ticket, open, isPassing, outcome }
