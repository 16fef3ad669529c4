import { useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from './client'
import { keys } from './queries'

/** Enough for every client and site that a menu can show; longer lists have pages of their own. */
const ALL = 1000

export function useClients() {
  return useQuery({
    queryKey: [...keys.clients, 'all'],
    queryFn: () =>
      body(api.GET('/api/clients', { params: { query: { limit: ALL, sort: 'name' } } })),
    select: page => page.items as Schemas['Client'][],
    staleTime: 60_000,
  })
}

export function useSites(clientId?: string) {
  return useQuery({
    queryKey: [...keys.sites, 'all', clientId ?? null],
    queryFn: () =>
      body(
        api.GET('/api/sites', {
          params: { query: { limit: ALL, sort: 'name', client_id: clientId } },
        }),
      ),
    select: page => page.items as Schemas['Site'][],
    staleTime: 60_000,
  })
}
