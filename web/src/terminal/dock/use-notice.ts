import { useQuery } from '@tanstack/react-query'
import { api, body } from '~/api/client'
import { keys } from '~/api/queries'
import type { SessionView } from '../session/session-view'

/** Whether the person at the machine knows of the session: as the session says, or as the device's policy does. */
export function useNotice(agentId: string, view: SessionView): SessionView['notice'] {
  const policy = useQuery({
    queryKey: [...keys.policies, 'of', agentId],
    queryFn: () => body(api.GET('/api/agents/{id}/policy', { params: { path: { id: agentId } } })),
    staleTime: 300_000,
    retry: false,
  })
  return view.notice ?? (policy.data?.effective.tunnel?.tell_person ? 'told' : undefined)
}
