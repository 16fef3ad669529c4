import { api, body, type Schemas } from '~/api/client'
import { fromAnswer } from '~/api/problem'

export interface ServerHealth {
  ready: boolean
  database: string
  answerSeconds: number
  agentsOnline: number
  tunnelsOpen: number
  /** For those only who may see how the server itself is. */
  system: Schemas['System'] | null
}

export async function readHealth(maySeeSystem: boolean): Promise<ServerHealth> {
  const began = performance.now()
  const { data, error, response } = await api.GET('/readyz')
  const answerSeconds = (performance.now() - began) / 1000
  if (!data) throw fromAnswer(response, error)
  return {
    ready: data.status === 'ready',
    database: data.database,
    answerSeconds,
    agentsOnline: data.agents_online,
    tunnelsOpen: data.tunnels_open,
    system: maySeeSystem ? await body(api.GET('/api/system')) : null,
  }
}
