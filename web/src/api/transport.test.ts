import { beforeEach, expect, test, vi } from 'vitest'
import { ApiError } from './problem'
import { becomeActive, becomeAnonymous, session, type User } from './session'
import { authorizedFetch } from './transport'

const user = { id: 'u', email: 'ada@example.com', role: 'technician' } as User
const answers = vi.fn<(request: Request) => Promise<Response>>()
const refused = (code = 'unauthorized') => Response.json({ code }, { status: 401 })

beforeEach(() => {
  answers.mockReset()
  vi.stubGlobal('fetch', answers)
  becomeAnonymous()
})

test('what changes something shows that this page asks', async () => {
  answers.mockResolvedValue(Response.json({}))
  await authorizedFetch('/api/clients', { method: 'POST', body: '{}' })
  await authorizedFetch('/api/clients')
  const [post, get] = answers.mock.calls.map(([request]) => request.headers.get('X-GuruRMM-CSRF'))
  expect([post, get]).toEqual(['1', null])
})

test('an expired log-in holds the request until the user is back, and sends it as it was', async () => {
  becomeActive(user)
  answers.mockResolvedValueOnce(refused()).mockResolvedValueOnce(Response.json({ done: true }))
  const asked = authorizedFetch('/api/clients', { method: 'POST', body: '{"name":"Acme"}' })
  await vi.waitFor(() => expect(session.get().state).toBe('expired'))
  expect(answers).toHaveBeenCalledTimes(1)
  becomeActive(user)
  expect(await (await asked).json()).toEqual({ done: true })
  expect(await answers.mock.calls[1]?.[0].text()).toBe('{"name":"Acme"}')
})

test('a user who leaves instead is not waited for', async () => {
  becomeActive(user)
  answers.mockResolvedValue(refused())
  const asked = authorizedFetch('/api/clients')
  await vi.waitFor(() => expect(session.get().state).toBe('expired'))
  becomeAnonymous()
  expect((await asked).status).toBe(401)
})

test('a wrong password is no expired log-in', async () => {
  becomeActive(user)
  answers.mockImplementation(async () => refused('invalid_credentials'))
  expect((await authorizedFetch('/api/auth/password', { method: 'POST' })).status).toBe(401)
  expect(session.get().state).toBe('active')
})

test('a server that cannot be reached says so', async () => {
  answers.mockRejectedValue(new TypeError('failed'))
  await expect(authorizedFetch('/api/clients')).rejects.toBeInstanceOf(ApiError)
})
