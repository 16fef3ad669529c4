import { useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { usePolling } from '~/components/live-line'

export type Device = Schemas['Agent']

export function useDevice(id: string) {
  return useQuery({
    queryKey: keys.agent(id),
    queryFn: () => body(api.GET('/api/agents/{id}', { params: { path: { id } } })),
    refetchInterval: usePolling(),
  })
}
