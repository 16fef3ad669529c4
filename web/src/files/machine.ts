/**
 * A machine whose files are worked on: its session, opened when it is needed and again where it has ended meanwhile, and
 * requests in it.
 */

import type { Schemas } from '~/api/client'
import { ApiError, fromAnswer } from '~/api/problem'
import { authorizedFetch } from '~/api/transport'
import { type Lease, leaseAgent, leaseSession } from '~/terminal/session/session-hub'

export type FileInfo = Schemas['FileInfo']

export interface Listing {
  items: FileInfo[]
  next_cursor?: string | null
}

export type Query = Record<string, string | number | boolean | undefined>

/** The session is over; another one may be opened. */
export function isSessionOver(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false
  return error.code === 'session_closed' || error.code === 'session_not_found'
}

export class Machine {
  #lease: Promise<Lease> | undefined
  #uses = 0

  constructor(
    readonly agentId: string,
    /** A session that is there; missing means the caller's own. */
    readonly sessionId?: string,
  ) {}

  /** Keeps its session while it is used. */
  use(): () => void {
    this.#uses += 1
    let released = false
    return () => {
      if (released) return
      released = true
      this.#uses -= 1
      if (this.#uses === 0) this.#leave()
    }
  }

  async session(): Promise<string> {
    this.#lease ??= this.sessionId
      ? Promise.resolve(leaseSession(this.sessionId))
      : leaseAgent(this.agentId)
    try {
      return (await this.#lease).sessionId
    } catch (error) {
      this.#lease = undefined
      throw error
    }
  }

  /** Does something in a session; once more in a new one, where the old one is over. */
  async within<T>(task: (sessionId: string) => Promise<T>): Promise<T> {
    try {
      return await task(await this.session())
    } catch (error) {
      if (!isSessionOver(error) || this.sessionId) throw error
      this.#leave()
      return await task(await this.session())
    }
  }

  async request(method: string, path: string, query: Query, init?: RequestInit): Promise<Response> {
    return await this.within(async sessionId => {
      const response = await authorizedFetch(urlOf(sessionId, path, query), { ...init, method })
      if (!response.ok) throw fromAnswer(response, await response.json().catch(() => null))
      return response
    })
  }

  async json<T>(path: string, query: Query): Promise<T> {
    const response = await this.request('GET', path, query)
    return (await response.json()) as T
  }

  async post(path: string, body: object): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    await this.request('POST', path, {}, { headers, body: JSON.stringify(body) })
  }

  #leave(): void {
    const lease = this.#lease
    this.#lease = undefined
    lease?.then(one => one.release(true)).catch(() => undefined)
  }
}

/** Where a request of a session goes. */
export function urlOf(sessionId: string, path: string, query: Query): string {
  const asked = Object.entries(query).filter(([, value]) => value !== undefined)
  const text = new URLSearchParams(asked.map(([name, value]) => [name, String(value)])).toString()
  return `/api/v1/tunnel/${encodeURIComponent(sessionId)}/${path}${text && `?${text}`}`
}

const machines = new Map<string, Machine>()

/** The same machine for all who ask for it, so that they share its session. */
export function machineOf(agentId: string, sessionId?: string): Machine {
  const key = `${agentId} ${sessionId ?? ''}`
  let machine = machines.get(key)
  if (!machine) {
    machine = new Machine(agentId, sessionId)
    machines.set(key, machine)
  }
  return machine
}
