import { useQuery } from '@tanstack/react-query'
import { api, body } from '~/api/client'
import { ApiError } from '~/api/problem'

/** What the machine consists of; null until it has told it for the first time. */
export function useInventory(id: string) {
  return useQuery({
    queryKey: ['inventory', id],
    queryFn: async () => {
      try {
        return await body(api.GET('/api/agents/{id}/inventory', { params: { path: { id } } }))
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null
        throw error
      }
    },
    staleTime: 60_000,
  })
}
