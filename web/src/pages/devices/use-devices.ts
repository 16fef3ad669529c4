import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { usePolling } from '~/components/live-line'

export interface DevicesSearch {
  q?: string
  status?: string
  client?: string
  site?: string
  os?: string
  sort?: string
  /** Columns that are not shown, with commas. */
  hide?: string
}

export type Device = Schemas['Agent']

const PAGE = 200

/** The devices that the address asks for, page after page as they are scrolled into sight. */
export function useDevices(search: DevicesSearch) {
  const query = {
    q: search.q,
    status: search.status as 'online' | 'offline' | undefined,
    client_id: search.client,
    site_id: search.site,
    os_family: search.os,
    sort: (search.sort ?? 'name') as 'name',
  }
  const pollMs = usePolling()
  const list = useInfiniteQuery({
    queryKey: keys.agentList(query),
    queryFn: ({ pageParam, signal }) =>
      body(
        api.GET('/api/agents', {
          params: { query: { ...query, limit: PAGE, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: page => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: pollMs,
  })
  const rows = useMemo(() => list.data?.pages.flatMap(page => page.items as Device[]), [list.data])
  return { list, rows }
}
