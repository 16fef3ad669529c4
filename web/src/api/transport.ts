import { withCredentials } from './credentials'
import { unreachable } from './problem'
import { renewed } from './session'

/** Paths where a 401 says that the credentials are wrong, or that there is no log-in to end. */
const OPEN = ['/api/auth/login', '/api/auth/setup', '/api/auth/register', '/api/auth/logout']

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
    const refused = answer.status === 401 && !OPEN.includes(path) && attempt === 0
    if (!refused || !(await isExpired(answer)) || !(await renewed())) return answer
  }
}

/** A wrong password, as where it is changed, is refused with the same status. */
async function isExpired(answer: Response): Promise<boolean> {
  const problem = await answer
    .clone()
    .json()
    .catch(() => null)
  return problem?.code !== 'invalid_credentials'
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
