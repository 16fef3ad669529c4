import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { useClients, useSites } from '~/api/places'
import { keys, queries } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { confirm } from '~/ui/confirm'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Page } from '~/ui/page'
import { Time } from '~/ui/time'

const MaintenanceDialog = lazy(() => import('~/components/maintenance-dialog'))

type Window = Schemas['MaintenanceWindow']

export default function MaintenancePage() {
  const [adding, setAdding] = useState(false)
  const mayNot = useHindrance('planMaintenance')
  const clients = useClients()
  const sites = useSites()
  const windows = useQuery({
    queryKey: keys.maintenance,
    queryFn: () => body(api.GET('/api/maintenance')),
  })
  const end = (window: Window) =>
    confirm({
      title: 'End this maintenance?',
      text: 'Alerts are opened there again from now on.',
      verb: 'End it',
      act: async () => {
        await body(api.DELETE('/api/maintenance/{id}', { params: { path: { id: window.id } } }))
        await queries.invalidateQueries({ queryKey: keys.maintenance })
      },
    })
  const columns: GridColumn<Window>[] = [
    {
      id: 'target',
      header: 'For',
      width: 'minmax(160px, 1fr)',
      cell: window =>
        window.agent_id ? (
          <DeviceName id={window.agent_id} />
        ) : window.site_id ? (
          `site ${sites.data?.find(site => site.id === window.site_id)?.name ?? ''}`
        ) : (
          `client ${clients.data?.find(client => client.id === window.client_id)?.name ?? ''}`
        ),
    },
    { id: 'reason', header: 'Reason', width: 'minmax(200px, 2fr)', cell: window => window.reason },
    {
      id: 'starts',
      header: 'From',
      width: '130px',
      cell: window => <Time at={window.starts_at} />,
    },
    { id: 'ends', header: 'To', width: '130px', cell: window => <Time at={window.ends_at} /> },
    {
      id: 'actions',
      header: 'Actions',
      width: '90px',
      end: true,
      cell: window =>
        !mayNot && (
          <Button size="compact-xs" variant="default" onClick={() => end(window)}>
            End
          </Button>
        ),
    },
  ]
  return (
    <Page
      title="Maintenance"
      fill
      actions={!mayNot && <Button onClick={() => setAdding(true)}>Plan maintenance</Button>}
    >
      <Grid
        label="Maintenance"
        columns={columns}
        rows={windows.data?.items as Window[] | undefined}
        rowKey={window => window.id}
        error={windows.error}
        retry={() => void windows.refetch()}
        empty={
          <Empty
            title="No maintenance now"
            text="While there is maintenance, no alerts are opened for a device, a site or a client."
          />
        }
      />
      <Suspense>{adding && <MaintenanceDialog onClose={() => setAdding(false)} />}</Suspense>
    </Page>
  )
}
