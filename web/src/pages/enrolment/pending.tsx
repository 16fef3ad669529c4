import { Button, Group, Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { usePolling } from '~/components/live-line'
import { TargetName } from '~/pages/policies/target-name'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { failed, told } from '~/ui/toast'
import { Untrusted } from '~/ui/untrusted'
import { plain } from '~/util/untrusted'

type Waiting = Schemas['WaitingAgent']

export function Pending() {
  const pending = useQuery({
    queryKey: keys.pending,
    queryFn: () => body(api.GET('/api/agents/pending')),
    refetchInterval: usePolling(5000),
  })
  const again = () => {
    void queries.invalidateQueries({ queryKey: keys.pending })
    void queries.invalidateQueries({ queryKey: keys.agents })
  }
  const approve = async (agent: Waiting) => {
    try {
      await body(api.POST('/api/agents/{id}/approve', { params: { path: { id: agent.agent_id } } }))
      told(`${plain(agent.hostname, 60)} is let in`)
    } catch (error) {
      failed(error, `${plain(agent.hostname, 60)} was not let in`)
    }
    again()
  }
  const reject = (agent: Waiting) =>
    confirm({
      title: `Reject ${plain(agent.hostname, 60)}?`,
      text: 'It is deleted and its key stops working.',
      verb: 'Reject',
      danger: true,
      act: async () => {
        await body(
          api.POST('/api/agents/{id}/reject', { params: { path: { id: agent.agent_id } } }),
        )
        again()
      },
    })
  if (pending.error) return <ErrorNote error={pending.error} retry={() => void pending.refetch()} />
  if (pending.isPending) return <Skeleton height={40} />
  return (
    <Table
      label="Waiting for approval"
      head={['Device', 'Device id', 'Where', 'Since', 'Actions']}
      rows={pending.data.items.map(agent => ({
        key: agent.agent_id,
        cells: [
          <Untrusted key="name" text={agent.hostname} longest={80} />,
          <Untrusted key="id" text={agent.device_id} longest={80} />,
          agent.site_id ? <TargetName key="site" target={{ site_id: agent.site_id }} /> : '–',
          <Time key="at" at={agent.requested_at} />,
          <Group key="actions" gap={4} wrap="nowrap">
            <Button size="compact-xs" onClick={() => void approve(agent)}>
              Approve
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => reject(agent)}>
              Reject…
            </Button>
          </Group>,
        ],
      }))}
      none="Nobody waits."
    />
  )
}
