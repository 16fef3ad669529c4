import { Button, Group } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback, useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys } from '~/api/queries'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link } from '~/ui/link'
import { Meter } from '~/ui/meter'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { count, share } from '~/util/format'
import { changed } from '~/util/search-params'
import { ClientDialog } from './client-dialog'

type Client = Schemas['Client']
const route = getRouteApi('/inside/clients')

export default function ClientsPage() {
  const search = route.useSearch()
  const navigate = useNavigate()
  const [adding, setAdding] = useState(false)
  const mayNot = useHindrance('writeClients')
  const sort = search.sort ?? 'name'
  const { grid } = useList<Client>({
    queryKey: [...keys.clients, 'list', search.q, sort],
    page: (cursor, signal) =>
      body(
        api.GET('/api/clients', {
          params: { query: { q: search.q, sort: sort as 'name', cursor, limit: 200 } },
          signal,
        }),
      ),
  })
  const summary = useQuery({
    queryKey: ['summary'],
    queryFn: () => body(api.GET('/api/metrics/summary')),
  })
  const load = (id: string) => summary.data?.clients.find(client => client.client_id === id)
  const change = useCallback(
    (change: { q?: string; sort?: string }) =>
      void navigate({
        to: '/clients',
        search: before => changed(before as typeof change, change),
        replace: true,
      }),
    [navigate],
  )
  const setQ = useCallback((q: string) => change({ q }), [change])
  const columns: GridColumn<Client>[] = [
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(180px, 2fr)',
      sort: 'name',
      cell: client => (
        <Link to="/clients/$clientId" params={{ clientId: client.id }} fw={600} tabIndex={-1}>
          {client.name}
        </Link>
      ),
    },
    {
      id: 'devices',
      header: 'Devices',
      width: '150px',
      cell: client => (
        <Link to="/devices" search={{ client: client.id }} tabIndex={-1}>
          {`${count(load(client.id)?.agents ?? 0)}, ${count(load(client.id)?.online ?? 0)} online`}
        </Link>
      ),
    },
    {
      id: 'cpu',
      header: 'CPU, mean',
      width: '110px',
      cell: client => <Meter label="CPU" value={load(client.id)?.cpu_percent} />,
    },
    {
      id: 'memory',
      header: 'Memory',
      width: '110px',
      cell: client => (
        <Meter
          label="Memory"
          value={share(load(client.id)?.memory_used_bytes, load(client.id)?.memory_total_bytes)}
        />
      ),
    },
    {
      id: 'disk',
      header: 'Disk',
      width: '110px',
      cell: client => (
        <Meter
          label="Disk"
          value={share(load(client.id)?.disk_used_bytes, load(client.id)?.disk_total_bytes)}
        />
      ),
    },
    {
      id: 'created',
      header: 'Added',
      width: '110px',
      sort: 'created',
      cell: client => <Time at={client.created_at} />,
    },
  ]
  return (
    <Page
      title="Clients & sites"
      fill
      actions={!mayNot && <Button onClick={() => setAdding(true)}>New client</Button>}
    >
      <Group>
        <SearchBox label="Search clients" value={search.q ?? ''} onChange={setQ} slash />
      </Group>
      <Grid
        {...grid}
        label="Clients"
        columns={columns}
        rowKey={clientKey}
        sort={sort}
        onSort={sort => change({ sort })}
        onOpen={({ id }) => void navigate({ to: '/clients/$clientId', params: { clientId: id } })}
        empty={
          <Empty
            title={search.q ? 'No client fits' : 'No clients yet'}
            text="A client has sites, and a site has devices."
          />
        }
      />
      {adding && <ClientDialog onClose={() => setAdding(false)} />}
    </Page>
  )
}

const clientKey = (client: Client) => client.id
