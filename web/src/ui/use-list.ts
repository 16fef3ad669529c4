import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useMemo } from 'react'

interface Page<T> {
  items: T[]
  next_cursor?: string | null
}

interface ListOptions<T> {
  queryKey: readonly unknown[]
  /** Fetches the page behind a cursor. */
  page: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>
  refetchInterval?: number | false
}

/** A list of the API as a grid takes it. */
export function useList<T>({ queryKey, page, refetchInterval }: ListOptions<T>) {
  const list = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => page(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: found => found.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval,
  })
  const rows = useMemo(() => list.data?.pages.flatMap(found => found.items), [list.data])
  return {
    rows,
    grid: {
      rows,
      error: list.error,
      retry: () => void list.refetch(),
      more: {
        has: list.hasNextPage,
        busy: list.isFetchingNextPage,
        fetch: () => void list.fetchNextPage(),
      },
    },
  }
}
