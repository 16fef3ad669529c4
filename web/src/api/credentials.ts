/**
 * The log-in is an HttpOnly cookie that browsers send by themselves and no script can read; the
 * header shows that it was this page that asked.
 */
export function withCredentials(headers: Headers, method: string): Headers {
  if (method !== 'GET' && method !== 'HEAD') headers.set('X-GuruRMM-CSRF', '1')
  return headers
}
