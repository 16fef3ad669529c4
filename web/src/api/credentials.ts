/**
 * How the browser proves who asks: by the HttpOnly cookie of the log-in, which scripts cannot read.
 * A server that answers with a token instead has it kept in memory, and nowhere else.
 */
let token: string | null = null

export function keepToken(answer: { token?: string | null }): void {
  token = answer.token ?? null
}

export function forgetToken(): void {
  token = null
}

/** Browsers send the cookie by themselves; the header shows that it was this page that asked. */
export function withCredentials(headers: Headers, method: string): Headers {
  if (method !== 'GET' && method !== 'HEAD') headers.set('X-GuruRMM-CSRF', '1')
  if (token && !headers.has('Authorization')) headers.set('Authorization', `Bearer ${token}`)
  return headers
}
