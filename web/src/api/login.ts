import { api, body } from './client'
import { fromAnswer } from './problem'
import { becomeActive, becomeAnonymous, session, type User } from './session'
import { authorizedFetch } from './transport'

/** Asks for a cookie instead of a token. */
async function enter(path: string, credentials: object): Promise<User> {
  const response = await authorizedFetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...credentials, cookie: true }),
  })
  const answer = await response.json().catch(() => null)
  if (!response.ok) throw fromAnswer(response, answer)
  return (answer as { user: User }).user
}

export async function logIn(email: string, password: string): Promise<User> {
  const user = await enter('/api/auth/login', { email, password })
  becomeActive(user)
  return user
}

export async function setUp(first: {
  token: string
  name: string
  email: string
  password: string
}): Promise<User> {
  const user = await enter('/api/auth/setup', first)
  becomeActive(user)
  return user
}

export async function changePassword(current: string, next: string): Promise<void> {
  becomeActive(await enter('/api/auth/password', { current_password: current, new_password: next }))
}

export async function logOut(): Promise<void> {
  try {
    await body(api.POST('/api/auth/logout'))
  } finally {
    becomeAnonymous()
  }
}

/** Finds out whether the cookie still stands for somebody. */
export async function recall(): Promise<void> {
  if (session.get().state !== 'unknown') return
  const response = await authorizedFetch('/api/auth/me')
  if (response.ok) becomeActive((await response.json()) as User)
  else if (response.status === 401) becomeAnonymous()
  else throw fromAnswer(response, await response.json().catch(() => null))
}
