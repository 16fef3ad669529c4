import { Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { line } from '~/api/events'
import { keys } from '~/api/queries'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { Status } from '~/ui/status'
import { duration } from '~/util/format'
import { useStore } from '~/util/store'
import { readHealth } from './read-health'

const ASK_EVERY_MS = 10_000

/** How the server is: whether its database answers, and how far its queues lag behind. */
export function Health() {
  const live = useStore(line)
  const health = useQuery({
    queryKey: keys.health,
    queryFn: readHealth,
    refetchInterval: ASK_EVERY_MS,
    retry: false,
  })
  return (
    <Card title="Health of the server">
      <ErrorNote error={health.error} retry={() => void health.refetch()} />
      {health.isPending && <Skeleton height={120} />}
      {health.data && (
        <Facts
          items={[
            [
              'Server',
              health.data.ready ? (
                <Status tone="good">ready</Status>
              ) : (
                <Status tone="bad">not ready</Status>
              ),
            ],
            [
              'Database',
              `${health.data.database}, answered in ${duration(health.data.answerSeconds)}`,
            ],
            ['Devices online', health.data.agentsOnline],
            ['Sessions open', health.data.tunnelsOpen],
            [
              'Live events',
              live === 'live' ? (
                <Status tone="good">connected</Status>
              ) : (
                <Status tone="warn">{live}</Status>
              ),
            ],
            ...health.data.figures.map((figure): [string, React.ReactNode] => [
              figure.name,
              figure.value,
            ]),
          ]}
        />
      )}
    </Card>
  )
}
