import { Group, Select } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { alsoAsk, api, body, type Schemas } from '~/api/client'
import { DeviceName } from '~/components/device-name'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { useList } from '~/ui/use-list'
import { plain } from '~/util/untrusted'
import { InventoryTabs } from './inventory-tabs'

type Entry = Schemas['InventoryEntry']
const route = getRouteApi('/inside/inventory')

const SECTIONS = ['hardware', 'os', 'disks', 'network', 'services', 'users', 'software']

const COLUMNS: GridColumn<Entry>[] = [
  { id: 'section', header: 'Part', width: '110px', cell: entry => plain(entry.section, 30) },
  {
    id: 'name',
    header: 'Name',
    width: 'minmax(200px, 1fr)',
    cell: entry => <strong>{plain(entry.name, 120)}</strong>,
  },
  {
    id: 'detail',
    header: 'What is known',
    width: 'minmax(240px, 2fr)',
    cell: entry => plain(entry.detail, 200),
  },
  {
    id: 'device',
    header: 'Device',
    width: 'minmax(140px, 1fr)',
    cell: entry => <DeviceName id={entry.agent_id} name={entry.hostname} />,
  },
]

/** Anything that machines are made of, over all devices. */
export default function InventoryPage() {
  const { q, section } = route.useSearch()
  const navigate = useNavigate()
  const { grid } = useList<Entry>({
    queryKey: ['inventory-search', q, section],
    page: (cursor, signal) =>
      body(
        api.GET('/api/inventory/search', {
          params: { query: alsoAsk({ q, section, cursor, limit: 200 }) },
          signal,
        }),
      ),
  })
  const go = useCallback(
    (search: { q?: string; section?: string }) =>
      void navigate({
        to: '/inventory',
        search: before => ({ ...before, ...search }),
        replace: true,
      }),
    [navigate],
  )
  const search = useCallback((text: string) => go({ q: text || undefined }), [go])
  return (
    <Page title="Inventory" fill heading={<InventoryTabs />}>
      <Group gap="xs">
        <SearchBox label="Search inventory" value={q ?? ''} onChange={search} slash />
        <Select
          aria-label="Part"
          placeholder="All parts"
          clearable
          data={SECTIONS}
          value={section ?? null}
          onChange={value => go({ section: value ?? undefined })}
          w={150}
        />
      </Group>
      <Grid
        {...grid}
        label="Inventory"
        columns={COLUMNS}
        rowKey={entryKey}
        empty={
          <Empty
            title={q || section ? 'Nothing fits' : 'No inventory is known yet'}
            text="Disks, networks, users, services and more, as devices tell them."
          />
        }
      />
    </Page>
  )
}

const entryKey = (entry: Entry) =>
  [entry.agent_id, entry.section, entry.name, entry.detail].join('\n')
