import createClient from 'openapi-fetch'
import { fromAnswer } from './problem'
import type { components, paths } from './schema'
import { authorizedFetch } from './transport'

export type Schemas = components['schemas']

/** The server's API with the types of its OpenAPI document. */
export const api = createClient<paths>({
  baseUrl: location.origin,
  fetch: request => authorizedFetch(request),
})

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** The body of an answer, or its problem thrown as an `ApiError`. */
export async function body<T>(asked: Promise<Answer<T>>): Promise<NonNullable<T>> {
  const { data, error, response } = await asked
  if (!response.ok) throw fromAnswer(response, error)
  return (data ?? undefined) as NonNullable<T>
}

/** As `body`, with the version (`ETag`) that a change has to name in `If-Match`. */
export async function versioned<T>(
  asked: Promise<Answer<T>>,
): Promise<{ value: NonNullable<T>; etag: string | null }> {
  const { data, error, response } = await asked
  if (!response.ok) throw fromAnswer(response, error)
  return { value: data as NonNullable<T>, etag: response.headers.get('etag') }
}

/** Parameters that the document does not describe yet; the server names those that it does not know. */
export function alsoAsk(query: Record<string, string | number | boolean | undefined>): never {
  return query as never
}
