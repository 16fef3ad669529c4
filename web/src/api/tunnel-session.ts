import { api, body } from './client'
import { ApiError } from './problem'

const opening = new Map<string, Promise<string>>()

/** The caller's own open session to a device, or null. */
export async function findSession(agentId: string): Promise<string | null> {
  const { items } = await body(api.GET('/api/v1/tunnel'))
  return items.find(session => session.agent_id === agentId)?.session_id ?? null
}

/**
 * The caller's session to a device: the one that is open, or a new one. A device has at most one
 * session of a technician, so callers that ask at the same time share the answer.
 */
export function ensureSession(agentId: string): Promise<string> {
  const underWay = opening.get(agentId)
  if (underWay) return underWay
  const asked = findOrOpen(agentId).finally(() => opening.delete(agentId))
  opening.set(agentId, asked)
  return asked
}

async function findOrOpen(agentId: string): Promise<string> {
  const there = await findSession(agentId)
  if (there) return there
  try {
    const opened = await body(api.POST('/api/v1/tunnel/open', { body: { agent_id: agentId } }))
    return opened.session_id
  } catch (error) {
    if (error instanceof ApiError && error.code === 'session_exists') {
      const found = await findSession(agentId)
      if (found) return found
    }
    throw error
  }
}

export async function endSession(sessionId: string): Promise<void> {
  await body(api.POST('/api/v1/tunnel/close', { body: { session_id: sessionId } }))
}
