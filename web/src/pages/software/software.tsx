import { Group } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { alsoAsk, api, body, type Schemas } from '~/api/client'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link } from '~/ui/link'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { useList } from '~/ui/use-list'
import { count } from '~/util/format'
import { plain } from '~/util/untrusted'
import { InventoryTabs } from './inventory-tabs'

type Software = Schemas['Software']
const route = getRouteApi('/inside/software')

const COLUMNS: GridColumn<Software>[] = [
  {
    id: 'name',
    header: 'Name',
    width: 'minmax(220px, 2fr)',
    cell: one => <strong>{plain(one.name, 120)}</strong>,
  },
  {
    id: 'version',
    header: 'Version',
    width: 'minmax(120px, 1fr)',
    cell: one => plain(one.version, 60),
  },
  { id: 'count', header: 'Devices', width: '90px', end: true, cell: one => count(one.count) },
  {
    id: 'agents',
    header: 'Where',
    width: 'minmax(240px, 3fr)',
    cell: one =>
      one.agents.slice(0, 5).map((agent, at) => (
        <span key={agent.id}>
          {at > 0 && ', '}
          <Link to="/devices/$agentId" params={{ agentId: agent.id }} tabIndex={-1}>
            {plain(agent.hostname, 40)}
          </Link>
          {at === 4 && one.count > 5 && ' …'}
        </span>
      )),
  },
]

/** What is installed where, over all devices. */
export default function SoftwarePage() {
  const { q } = route.useSearch()
  const navigate = useNavigate()
  const { grid } = useList<Software>({
    queryKey: ['software', q],
    page: (cursor, signal) =>
      body(
        api.GET('/api/inventory/software', {
          params: { query: alsoAsk({ q, cursor, limit: 200 }) },
          signal,
        }),
      ),
  })
  const search = useCallback(
    (q: string) => void navigate({ to: '/software', search: { q: q || undefined }, replace: true }),
    [navigate],
  )
  return (
    <Page title="Software" fill heading={<InventoryTabs />}>
      <Group>
        <SearchBox label="Search software" value={q ?? ''} onChange={search} slash />
      </Group>
      <Grid
        {...grid}
        label="Software"
        columns={COLUMNS}
        rowKey={softwareKey}
        empty={
          <Empty
            title={q ? 'Nothing of that name is installed' : 'No software is known yet'}
            text="Devices tell it with their inventory."
          />
        }
      />
    </Page>
  )
}

const softwareKey = (one: Software) => `${one.name}\n${one.version}`
