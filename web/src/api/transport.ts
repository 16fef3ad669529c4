import { withCredentials } from './credentials'
import { unreachable } from './problem'
import { renewed } from './session'

/** Paths where a 401 says that the credentials are wrong, not that the log-in has expired. */
const OPEN = ['/api/auth/login', '/api/auth/setup', '/api/auth/register']

/**
 * `fetch` with the user's credentials. Where the log-in has expired it waits until the user has
 * logged in again over the page, and then sends the same request once more.
 */
export async function authorizedFetch(
  input: RequestInfo | URL,
  init?: RequestInit,
): Promise<Response> {
  const request = new Request(input, init)
  const path = new URL(request.url, location.href).pathname
  for (let attempt = 0; ; attempt += 1) {
    const answer = await send(request.clone())
    const expired = answer.status === 401 && !OPEN.includes(path)
    if (!expired || attempt > 0 || !(await renewed())) return answer
  }
}

async function send(request: Request): Promise<Response> {
  const headers = withCredentials(new Headers(request.headers), request.method)
  try {
    return await fetch(new Request(request, { headers, credentials: 'same-origin' }))
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw unreachable()
  }
}
