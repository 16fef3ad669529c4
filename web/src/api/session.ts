import { createStore } from '~/util/store'
import type { components } from './schema'

export type User = components['schemas']['User']

/**
 * Whether somebody is logged in, as this page knows it:
 *
 *     unknown ──▶ anonymous ──▶ active ◀──▶ expired
 *        └──────────────────────▶┘
 *
 * `expired` keeps the user, so that the page stays as it is beneath the question for the password.
 */
export type Session =
  | { state: 'unknown' }
  | { state: 'anonymous' }
  | { state: 'active'; user: User }
  | { state: 'expired'; user: User }

export const session = createStore<Session>({ state: 'unknown' })

type Waiter = { resume: () => void; giveUp: () => void }
let waiters: Waiter[] = []

/** Waits until the user has logged in again; false where the user left instead. */
export function renewed(): Promise<boolean> {
  const now = session.get()
  if (now.state === 'active') session.set({ state: 'expired', user: now.user })
  if (session.get().state !== 'expired') return Promise.resolve(false)
  return new Promise(resolve => {
    waiters.push({ resume: () => resolve(true), giveUp: () => resolve(false) })
  })
}

export function becomeActive(user: User): void {
  session.set({ state: 'active', user })
  for (const waiter of take()) waiter.resume()
}

export function becomeAnonymous(): void {
  session.set({ state: 'anonymous' })
  for (const waiter of take()) waiter.giveUp()
}

function take(): Waiter[] {
  const now = waiters
  waiters = []
  return now
}
