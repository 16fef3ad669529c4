import { useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'

export function useScripts() {
  return useQuery({
    queryKey: [...keys.scripts, 'all'],
    queryFn: () =>
      body(api.GET('/api/scripts', { params: { query: { limit: 1000, sort: 'name' } } })),
    select: page => page.items as Schemas['Script'][],
    staleTime: 60_000,
  })
}
