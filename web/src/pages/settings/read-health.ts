import { api } from '~/api/client'
import { fromAnswer } from '~/api/problem'
import { authorizedFetch } from '~/api/transport'

export interface ServerHealth {
  ready: boolean
  database: string
  answerSeconds: number
  agentsOnline: number
  tunnelsOpen: number
  figures: { name: string; value: string }[]
}

export async function readHealth(): Promise<ServerHealth> {
  const began = performance.now()
  const { data, error, response } = await api.GET('/readyz')
  const answerSeconds = (performance.now() - began) / 1000
  if (!data) throw fromAnswer(response, error)
  const metrics = await authorizedFetch('/metrics').then(answer => (answer.ok ? answer.text() : ''))
  return {
    ready: response.ok && data.status === 'ready',
    database: data.database,
    answerSeconds,
    agentsOnline: data.agents_online,
    tunnelsOpen: data.tunnels_open,
    figures: lagFigures(metrics),
  }
}

/** Of the figures for Prometheus those that say how far something lags behind or how much waits. */
export function lagFigures(text: string): { name: string; value: string }[] {
  return text
    .split('\n')
    .map(line =>
      /^([a-z_]*(?:queue|lag|waiting|backlog)[a-z_]*)(?:\{[^}]*\})? ([\d.e+-]+)$/.exec(line),
    )
    .filter(found => found !== null)
    .filter(([, name]) => !/_bucket$|_created$/.test(name ?? ''))
    .slice(0, 12)
    .map(([, name = '', value = '']) => ({
      name: name.replace(/^gururmm_/, '').replaceAll('_', ' '),
      value: Number(value).toLocaleString('en-US', { maximumFractionDigits: 3 }),
    }))
}
