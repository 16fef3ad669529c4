import { useInfiniteQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { alsoAsk, api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { usePolling } from '~/components/live-line'

export type Command = Schemas['Command']

export function useCommands(filter: { agent_id?: string; job_id?: string; status?: string }) {
  const list = useInfiniteQuery({
    queryKey: [...keys.commands, filter],
    queryFn: ({ pageParam, signal }) =>
      body(
        api.GET('/api/commands', {
          params: { query: alsoAsk({ ...filter, limit: 100, cursor: pageParam }) },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: page => page.next_cursor ?? undefined,
    refetchInterval: usePolling(5000),
  })
  const rows = useMemo(() => list.data?.pages.flatMap(page => page.items as Command[]), [list.data])
  return { list, rows }
}
