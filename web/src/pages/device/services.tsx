import { Button, Group, Menu, Select } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { SessionGate } from '~/components/session-gate'
import { confirm } from '~/ui/confirm'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Icon } from '~/ui/icons'
import { SearchBox } from '~/ui/search-box'
import { Status } from '~/ui/status'
import { failed, told } from '~/ui/toast'
import { plain } from '~/util/untrusted'
import { useServiceWatch } from './service-watch'
import { useDevice } from './use-device'

type Service = Schemas['ServiceState']
type StartType = Schemas['StartType']

const route = getRouteApi('/inside/devices/$agentId/services')

export default function ServicesPage() {
  const { agentId } = route.useParams()
  const agent = useDevice(agentId).data
  if (!agent) return null
  return (
    <SessionGate agent={agent} what="services">
      {sessionId => <Services agentId={agentId} sessionId={sessionId} />}
    </SessionGate>
  )
}

function Services({ agentId, sessionId }: { agentId: string; sessionId: string }) {
  const { q = '' } = route.useSearch()
  const navigate = useNavigate()
  const path = { session_id: sessionId }
  const watched = useServiceWatch(sessionId)
  const services = useQuery({
    queryKey: ['services', sessionId],
    queryFn: () => body(api.GET('/api/v1/tunnel/{session_id}/services', { params: { path } })),
    refetchInterval: watched ? false : 15_000,
  })
  const rows = useMemo(() => {
    const wanted = q.toLowerCase()
    return (services.data?.items as Service[] | undefined)?.filter(service =>
      `${service.name} ${service.description ?? ''}`.toLowerCase().includes(wanted),
    )
  }, [services.data, q])
  const search = useCallback(
    (q: string) =>
      void navigate({
        to: '/devices/$agentId/services',
        params: { agentId },
        search: { q: q || undefined },
        replace: true,
      }),
    [navigate, agentId],
  )
  const act = async (service: Service, action: 'start' | 'stop' | 'restart') => {
    await body(
      api.POST('/api/v1/tunnel/{session_id}/services/{name}/{action}', {
        params: { path: { ...path, name: service.name, action } },
      }),
    )
    told(`${plain(service.name, 60)}: ${action} is done`)
    void services.refetch()
  }
  const ask = (service: Service, action: 'start' | 'stop' | 'restart') => {
    if (action === 'start') {
      act(service, action).catch(error =>
        failed(error, `${plain(service.name, 60)} was not started`),
      )
      return
    }
    confirm({
      title: `${action === 'stop' ? 'Stop' : 'Restart'} ${plain(service.name, 60)}?`,
      text: 'Whoever uses it now is interrupted.',
      verb: action === 'stop' ? 'Stop' : 'Restart',
      danger: action === 'stop',
      act: () => act(service, action),
    })
  }
  const setStart = async (service: Service, start_type: StartType) => {
    try {
      await body(
        api.PUT('/api/v1/tunnel/{session_id}/services/{name}/start-type', {
          params: { path: { ...path, name: service.name } },
          body: { start_type },
        }),
      )
      const before = service.start_type
      told(
        `${plain(service.name, 60)} starts ${start_type}`,
        before && before !== start_type ? () => void setStart(service, before) : undefined,
      )
    } catch (error) {
      failed(error, `The start type of ${plain(service.name, 60)} was not changed`)
    }
    void services.refetch()
  }
  const columns: GridColumn<Service>[] = [
    {
      id: 'state',
      header: 'State',
      width: '110px',
      cell: ({ state }) => (
        <Status
          tone={
            /run|active$/.test(state) && state !== 'inactive'
              ? 'good'
              : /fail/.test(state)
                ? 'bad'
                : 'idle'
          }
        >
          {plain(state, 30)}
        </Status>
      ),
    },
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(180px, 1fr)',
      cell: service => <strong>{plain(service.name, 120)}</strong>,
    },
    {
      id: 'description',
      header: 'Description',
      width: 'minmax(200px, 2fr)',
      cell: service => plain(service.description, 200),
    },
    { id: 'pid', header: 'PID', width: '76px', end: true, cell: service => service.pid ?? '' },
    {
      id: 'start',
      header: 'Starts',
      width: '136px',
      cell: service =>
        service.start_type && (
          <Select
            aria-label={`When ${plain(service.name, 60)} starts`}
            size="xs"
            variant="unstyled"
            data={['automatic', 'manual', 'disabled']}
            value={service.start_type}
            allowDeselect={false}
            onChange={value => value && void setStart(service, value as StartType)}
          />
        ),
    },
    {
      id: 'actions',
      header: 'Actions',
      width: '90px',
      end: true,
      cell: service => (
        <Menu>
          <Menu.Target>
            <Button
              size="compact-xs"
              variant="default"
              rightSection={<Icon name="dots" size={12} />}
            >
              Act
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => ask(service, 'start')}>Start</Menu.Item>
            <Menu.Item onClick={() => ask(service, 'restart')}>Restart…</Menu.Item>
            <Menu.Item onClick={() => ask(service, 'stop')}>Stop…</Menu.Item>
          </Menu.Dropdown>
        </Menu>
      ),
    },
  ]
  return (
    <>
      <Group gap="xs">
        <SearchBox label="Search services" value={q} onChange={search} slash />
        <Button
          variant="default"
          leftSection={<Icon name="refresh" size={14} />}
          onClick={() => void services.refetch()}
        >
          Refresh
        </Button>
        {watched && <Status tone="good">changes show as they happen</Status>}
      </Group>
      <Grid
        label="Services"
        columns={columns}
        rows={rows}
        rowKey={serviceKey}
        error={services.error}
        retry={() => void services.refetch()}
        empty={<Empty title="No service fits" />}
      />
    </>
  )
}

const serviceKey = (service: Service) => service.name
