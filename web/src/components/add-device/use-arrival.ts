import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { api, body } from '~/api/client'
import { keys, queries } from '~/api/queries'

const ASK_EVERY_MS = 2000

/** The device that came to a site since a moment and is online, once it has. */
export function useArrival(siteId: string, since: string | undefined) {
  const arrival = useQuery({
    queryKey: [...keys.agents, 'arrival', siteId, since],
    queryFn: async () => {
      const { items } = await body(
        api.GET('/api/agents', {
          params: { query: { site_id: siteId, sort: '-created', limit: 5 } },
        }),
      )
      return (
        items.find(agent => agent.created_at >= (since as string) && agent.status === 'online') ??
        null
      )
    },
    enabled: since !== undefined,
    refetchInterval: query => (query.state.data ? false : ASK_EVERY_MS),
  })
  const arrived = arrival.data ?? null
  useEffect(() => {
    if (!arrived) return
    void queries.invalidateQueries({ queryKey: [...keys.agents, 'list'] })
    void queries.invalidateQueries({ queryKey: keys.stats })
  }, [arrived])
  return arrived
}
