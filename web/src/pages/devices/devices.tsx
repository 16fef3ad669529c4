import { Button, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useState } from 'react'
import { hindrance } from '~/api/actions'
import { api, body } from '~/api/client'
import { useHindrance, useUser } from '~/api/me'
import { keys } from '~/api/queries'
import { usePolling } from '~/components/live-line'
import { openTerminal } from '~/components/open-terminal'
import { Empty } from '~/ui/empty'
import { Grid } from '~/ui/grid'
import { Icon } from '~/ui/icons'
import { Page } from '~/ui/page'
import { count, plural } from '~/util/format'
import { changed } from '~/util/search-params'
import { BulkBar } from './bulk-bar'
import { COLUMNS, visibility } from './columns'
import { Filters } from './filters'
import { type Device, type DevicesSearch, useDevices } from './use-devices'

const AddDevice = lazy(() => import('~/components/add-device/add-device'))
const route = getRouteApi('/inside/devices')

export default function DevicesPage() {
  const search = route.useSearch()
  const navigate = useNavigate()
  const user = useUser()
  const [selected, setSelected] = useState<Set<string>>(new Set())
  const [adding, setAdding] = useState(false)
  const mayNotAdd = useHindrance('addDevice')
  const { list, rows } = useDevices(search)
  const change = useCallback(
    (change: Partial<DevicesSearch>) =>
      void navigate({
        to: '/devices',
        search: before => changed(before as DevicesSearch, change),
        replace: true,
      }),
    [navigate],
  )
  const replace = useCallback(
    (next: DevicesSearch) => void navigate({ to: '/devices', search: next }),
    [navigate],
  )
  const open = (agent: Device) => {
    if (hindrance('openTerminal', user, agent)) {
      void navigate({ to: '/devices/$agentId', params: { agentId: agent.id } })
    } else openTerminal(agent)
  }
  const filtered = Boolean(search.q || search.status || search.client || search.site || search.os)
  const addButton = !mayNotAdd && (
    <Button leftSection={<Icon name="enrol" size={14} />} onClick={() => setAdding(true)}>
      Add device
    </Button>
  )
  const none = rows?.length === 0 && !filtered
  return (
    <Page title="Devices" fill actions={!none && addButton}>
      {!none && <Filters search={search} change={change} replace={replace} />}
      <Grid
        label="Devices"
        columns={COLUMNS}
        rows={rows}
        rowKey={deviceKey}
        visibility={visibility(search.hide)}
        sort={search.sort ?? 'name'}
        onSort={sort => change({ sort })}
        selected={selected}
        onSelect={setSelected}
        onOpen={open}
        error={list.error}
        retry={() => void list.refetch()}
        more={{
          has: list.hasNextPage,
          busy: list.isFetchingNextPage,
          fetch: () => void list.fetchNextPage(),
        }}
        empty={
          none ? (
            <Empty
              title="No devices yet"
              text="Put the agent on a machine and it shows up here within seconds."
            >
              {addButton}
            </Empty>
          ) : (
            <Empty title="No device fits" text="Change the search or the filters.">
              <Button variant="default" onClick={() => replace({})}>
                Show all devices
              </Button>
            </Empty>
          )
        }
      />
      {selected.size > 0 ? (
        <BulkBar selected={selected} clear={() => setSelected(new Set())} />
      ) : (
        !none && <Count listed={rows?.length ?? 0} more={list.hasNextPage} filtered={filtered} />
      )}
      <Suspense>{adding && <AddDevice onClose={() => setAdding(false)} />}</Suspense>
    </Page>
  )
}

const deviceKey = (agent: Device) => agent.id

/** How many there are, and how many of them are online. */
function Count({ listed, more, filtered }: { listed: number; more: boolean; filtered: boolean }) {
  const stats = useQuery({
    queryKey: keys.stats,
    queryFn: () => body(api.GET('/api/agents/stats')),
    refetchInterval: usePolling(),
  })
  const fit = `${count(listed)}${more ? ' or more' : ''} fit`
  return (
    <Text size="xs" c="dimmed" role="status">
      {filtered && `${fit} · `}
      {stats.data && `${plural(stats.data.total, 'device')}, ${count(stats.data.online)} online`}
    </Text>
  )
}
