/** A PUT whose body is a file, with progress: `fetch` tells none of what it sends. */

import { withCredentials } from '~/api/credentials'
import { ApiError, fromAnswer, unreachable } from '~/api/problem'
import { renewed } from '~/api/session'

export interface PutOptions {
  url: string
  body: Blob
  signal: AbortSignal
  onProgress: (bytes: number) => void
}

/** Sends it; where the log-in has expired, once more after it was renewed. */
export async function putBody(options: PutOptions): Promise<unknown> {
  try {
    return await put(options)
  } catch (error) {
    const expired = error instanceof ApiError && error.status === 401
    if (!expired || !(await renewed())) throw error
    return await put(options)
  }
}

function put({ url, body, signal, onProgress }: PutOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const abort = () => request.abort()
    const settle = (how: () => void) => {
      signal.removeEventListener('abort', abort)
      how()
    }
    request.open('PUT', url)
    withCredentials(new Headers(), 'PUT').forEach((value, name) => {
      request.setRequestHeader(name, value)
    })
    request.upload.onprogress = event => onProgress(event.loaded)
    request.onload = () =>
      settle(() => (isGood(request) ? resolve(answerOf(request)) : reject(problemOf(request))))
    request.onerror = () => settle(() => reject(unreachable()))
    request.onabort = () =>
      settle(() => reject(signal.reason ?? new DOMException('', 'AbortError')))
    signal.addEventListener('abort', abort)
    if (signal.aborted) settle(() => reject(signal.reason))
    else request.send(body)
  })
}

const isGood = (request: XMLHttpRequest) => request.status >= 200 && request.status < 300

function answerOf(request: XMLHttpRequest): unknown {
  try {
    return JSON.parse(request.responseText)
  } catch {
    return undefined
  }
}

function problemOf(request: XMLHttpRequest): ApiError {
  const headers = new Headers()
  const requestId = request.getResponseHeader('x-request-id')
  if (requestId) headers.set('x-request-id', requestId)
  const status = Math.max(request.status, 200)
  return fromAnswer(new Response(null, { status, headers }), answerOf(request))
}
