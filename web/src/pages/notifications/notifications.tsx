import { Button, Group } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { SeverityMark } from '~/pages/alerts/severity'
import { TargetName } from '~/pages/policies/target-name'
import { confirm } from '~/ui/confirm'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Page } from '~/ui/page'
import { Status } from '~/ui/status'
import { failed, told } from '~/ui/toast'
import { ChannelDialog } from './channel-dialog'
import { DeliveriesDialog } from './deliveries-dialog'

export type Channel = Schemas['Channel']
type Open = { dialog: 'edit'; channel: Channel | null } | { dialog: 'log'; channel: Channel }

/** Whom alerts are told to, by mail and webhook. */
export default function NotificationsPage() {
  const [open, setOpen] = useState<Open | null>(null)
  const channels = useQuery({
    queryKey: keys.channels,
    queryFn: () => body(api.GET('/api/notifications')),
  })
  const test = async (channel: Channel) => {
    try {
      await body(api.POST('/api/notifications/{id}/test', { params: { path: { id: channel.id } } }))
      told(`A test is on its way to ${channel.name}`)
      setOpen({ dialog: 'log', channel })
    } catch (error) {
      failed(error, 'The test was not sent')
    }
  }
  const remove = (channel: Channel) =>
    confirm({
      title: `Delete ${channel.name}?`,
      text: 'Nothing is told there any more; what waits is given up.',
      verb: 'Delete',
      danger: true,
      act: async () => {
        await body(api.DELETE('/api/notifications/{id}', { params: { path: { id: channel.id } } }))
        await queries.invalidateQueries({ queryKey: keys.channels })
      },
    })
  const columns: GridColumn<Channel>[] = [
    {
      id: 'state',
      header: 'State',
      width: '80px',
      cell: ({ enabled }) => (
        <Status tone={enabled ? 'good' : 'idle'}>{enabled ? 'on' : 'off'}</Status>
      ),
    },
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(140px, 1fr)',
      cell: channel => <strong>{channel.name}</strong>,
    },
    { id: 'kind', header: 'Kind', width: '90px', cell: channel => channel.kind },
    { id: 'target', header: 'To', width: 'minmax(150px, 2fr)', cell: channel => channel.target },
    {
      id: 'severity',
      header: 'From',
      width: '100px',
      cell: channel => <SeverityMark severity={channel.min_severity} />,
    },
    {
      id: 'client',
      header: 'Of',
      width: '120px',
      cell: channel => <TargetName target={{ client_id: channel.client_id }} />,
    },
    {
      id: 'actions',
      header: 'Actions',
      width: '270px',
      end: true,
      cell: channel => (
        <Group gap={4} justify="flex-end" wrap="nowrap">
          <Button size="compact-xs" variant="default" onClick={() => void test(channel)}>
            Test
          </Button>
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => setOpen({ dialog: 'log', channel })}
          >
            Log
          </Button>
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => setOpen({ dialog: 'edit', channel })}
          >
            Edit
          </Button>
          <Button size="compact-xs" variant="default" onClick={() => remove(channel)}>
            Delete…
          </Button>
        </Group>
      ),
    },
  ]
  return (
    <Page
      title="Notifications"
      fill
      actions={
        <Button onClick={() => setOpen({ dialog: 'edit', channel: null })}>New channel</Button>
      }
    >
      <Grid
        label="Channels"
        columns={columns}
        rows={channels.data?.items as Channel[] | undefined}
        rowKey={channelKey}
        onOpen={channel => setOpen({ dialog: 'edit', channel })}
        error={channels.error}
        retry={() => void channels.refetch()}
        empty={
          <Empty
            title="Nobody is told of alerts"
            text="A channel tells them by mail, or to a program by webhook."
          />
        }
      />
      {open?.dialog === 'edit' && (
        <ChannelDialog channel={open.channel} onClose={() => setOpen(null)} />
      )}
      {open?.dialog === 'log' && (
        <DeliveriesDialog channel={open.channel} onClose={() => setOpen(null)} />
      )}
    </Page>
  )
}

const channelKey = (channel: Channel) => channel.id
