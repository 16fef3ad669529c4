import { Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api, body } from '~/api/client'
import { keys } from '~/api/queries'
import { TargetName } from '~/pages/policies/target-name'
import { ErrorNote } from '~/ui/error-note'
import { Link } from '~/ui/link'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { Untrusted } from '~/ui/untrusted'

/** The same machine under several entries, as after a restored disk or a cloned image. */
export function Duplicates() {
  const twins = useQuery({
    queryKey: [...keys.agents, 'duplicates'],
    queryFn: () => body(api.GET('/api/agents/duplicates')),
  })
  if (twins.error) return <ErrorNote error={twins.error} retry={() => void twins.refetch()} />
  if (twins.isPending) return <Skeleton height={40} />
  return (
    <Table
      label="Enrolled more than once"
      head={['Device id', 'Entry', 'Where', 'Last seen']}
      rows={twins.data.items.flatMap(twin =>
        twin.agents.map(agent => ({
          key: agent.id,
          cells: [
            <Untrusted key="id" text={twin.device_id} longest={60} />,
            <Link key="name" to="/devices/$agentId" params={{ agentId: agent.id }}>
              <Untrusted text={agent.hostname} longest={60} />
            </Link>,
            <TargetName
              key="where"
              target={agent.site_id ? { site_id: agent.site_id } : { client_id: agent.client_id }}
            />,
            <Time key="seen" at={agent.last_seen_at} />,
          ],
        })),
      )}
      none="None."
    />
  )
}
