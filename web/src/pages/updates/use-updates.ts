import { api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { usePolling } from '~/components/live-line'
import { useList } from '~/ui/use-list'

export type Release = Schemas['Release']
export type Rollout = Schemas['Rollout']

/** Enough for every release that a rollout may be made of. */
const PAGE = 500

export function useReleases() {
  return useList<Release>({
    queryKey: [...keys.releases, 'list'],
    page: (cursor, signal) =>
      body(
        api.GET('/api/releases', {
          params: { query: { limit: PAGE, cursor, sort: '-added' } },
          signal,
        }),
      ),
    // No event tells of them, as they come by the command line.
    refetchInterval: 15_000,
  })
}

export function useRollouts() {
  const pollMs = usePolling()
  return useList<Rollout>({
    queryKey: [...keys.rollouts, 'list'],
    page: (cursor, signal) =>
      body(
        api.GET('/api/rollouts', {
          params: { query: { limit: 100, cursor, sort: '-created' } },
          signal,
        }),
      ),
    refetchInterval: pollMs,
  })
}
