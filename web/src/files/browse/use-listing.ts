import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import type { FileInfo, Listing, Machine } from '../machine'

const PAGE = 500

const keyOf = (machine: Machine, path: string) => ['files', machine.agentId, path] as const

/** What lies in a folder, by name, a page at a time. */
export function useListing(machine: Machine, path: string) {
  const listing = useInfiniteQuery({
    queryKey: keyOf(machine, path),
    queryFn: ({ pageParam }) =>
      machine.json<Listing>('files', { path, limit: PAGE, after: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: page => page.next_cursor ?? undefined,
    // Each look is in the audit of the session.
    refetchOnWindowFocus: false,
    staleTime: 0,
  })
  return { ...listing, items: listing.data?.pages.flatMap(page => page.items) ?? [] }
}

/** Has a folder looked at again, if it is shown. */
export function useRefresh(machine: Machine): (path: string) => void {
  const client = useQueryClient()
  return path => void client.invalidateQueries({ queryKey: keyOf(machine, path) })
}

export type SortColumn = 'name' | 'size' | 'modified'
export interface Sort {
  column: SortColumn
  down: boolean
}

const inOrder = new Intl.Collator('en', { numeric: true }).compare

/** Folders first, then by the column. */
export function sorted(items: FileInfo[], { column, down }: Sort): FileInfo[] {
  const turn = down ? -1 : 1
  const compare = (a: FileInfo, b: FileInfo) => {
    const folders = Number(b.kind === 'directory') - Number(a.kind === 'directory')
    if (folders !== 0) return folders
    return turn * (byColumn(column, a, b) || inOrder(a.name, b.name))
  }
  return items.toSorted(compare)
}

function byColumn(column: SortColumn, a: FileInfo, b: FileInfo): number {
  if (column === 'size') return a.size - b.size
  if (column === 'modified') return (a.modified ?? '').localeCompare(b.modified ?? '')
  return inOrder(a.name, b.name)
}
