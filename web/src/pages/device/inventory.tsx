import { Group, SegmentedControl, Skeleton, Stack, Text } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { Card } from '~/ui/card'
import { Empty } from '~/ui/empty'
import { ErrorNote } from '~/ui/error-note'
import { SearchBox } from '~/ui/search-box'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { InventoryChanges } from './inventory-changes'
import { SECTIONS, type Section, sectionRows } from './inventory-rows'
import { useInventory } from './use-inventory'

const route = getRouteApi('/inside/devices/$agentId/inventory')
/** More than anybody reads; the search finds the rest. */
const MOST_ROWS = 500

export default function InventoryPage() {
  const { agentId } = route.useParams()
  const { section = 'hardware', q = '' } = route.useSearch()
  const navigate = useNavigate()
  const inventory = useInventory(agentId)
  const change = useCallback(
    (change: { section?: string; q?: string }) =>
      void navigate({
        to: '/devices/$agentId/inventory',
        params: { agentId },
        search: before => ({ section: before.section, q: before.q, ...change }),
        replace: true,
      }),
    [navigate, agentId],
  )
  const search = useCallback((q: string) => change({ q: q || undefined }), [change])
  if (inventory.error)
    return <ErrorNote error={inventory.error} retry={() => void inventory.refetch()} />
  if (inventory.isPending) return <Skeleton height={200} />
  if (!inventory.data) {
    return (
      <Empty
        title="No inventory yet"
        text="The agent tells it within a minute of its first connection, and then when it changes."
      />
    )
  }
  const found = SECTIONS[section as Section]?.(inventory.data.sections)
  const fit = found && sectionRows(found, q)
  return (
    <Stack gap="xs" style={{ overflow: 'auto', flex: 1, minHeight: 0 }}>
      <Group gap="xs">
        <SegmentedControl
          aria-label="Section"
          value={section}
          onChange={section => change({ section, q: undefined })}
          data={[...Object.keys(SECTIONS), 'changes'].map(value => ({ value, label: value }))}
        />
        {section !== 'changes' && (
          <SearchBox label={`Search ${section}`} value={q} onChange={search} slash />
        )}
        <Text size="xs" c="dimmed">
          As of <Time at={inventory.data.received_at} />
        </Text>
      </Group>
      {section === 'changes' ? (
        <InventoryChanges agentId={agentId} />
      ) : (
        <Card>
          <Table
            label={section}
            head={found?.head ?? []}
            rows={(fit ?? []).slice(0, MOST_ROWS)}
            none={found ? 'Nothing fits.' : 'The agent could not find this out.'}
          />
          {fit && fit.length > MOST_ROWS && (
            <Text size="xs" c="dimmed" mt="xs">
              The first {MOST_ROWS} of {fit.length}; search to see others.
            </Text>
          )}
        </Card>
      )}
    </Stack>
  )
}
