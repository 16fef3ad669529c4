import { Button, Skeleton } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { alsoAsk, api, body } from '~/api/client'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { plain } from '~/util/untrusted'

export function InventoryChanges({ agentId }: { agentId: string }) {
  const changes = useInfiniteQuery({
    queryKey: ['inventory-changes', agentId],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/agents/{id}/inventory/changes', {
          params: {
            path: { id: agentId },
            query: alsoAsk({ limit: 100, cursor: pageParam }),
          },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: page => page.next_cursor ?? undefined,
  })
  if (changes.error) return <ErrorNote error={changes.error} retry={() => void changes.refetch()} />
  if (changes.isPending) return <Skeleton height={160} />
  const items = changes.data.pages.flatMap(page => page.items)
  return (
    <Card>
      <Table
        label="Changes"
        head={['When', 'Section', 'Change', 'What', 'Before', 'After']}
        rows={items.map(item => ({
          key: String(item.id),
          cells: [
            <Time key="at" at={item.at} />,
            item.section,
            item.change,
            plain(item.key, 120),
            <code key="before">{shown(item.before)}</code>,
            <code key="after">{shown(item.after)}</code>,
          ],
        }))}
        none="Nothing has changed since the first inventory."
      />
      {changes.hasNextPage && (
        <Button
          mt="xs"
          variant="default"
          loading={changes.isFetchingNextPage}
          onClick={() => void changes.fetchNextPage()}
        >
          Older changes
        </Button>
      )}
    </Card>
  )
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return ''
  return plain(typeof value === 'string' ? value : JSON.stringify(value), 160)
}
