import { Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Schemas } from '~/api/client'
import { line } from '~/api/events'
import { useHindrance } from '~/api/me'
import { keys } from '~/api/queries'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { Status, type Tone } from '~/ui/status'
import { Time } from '~/ui/time'
import { bytes, count, duration, share } from '~/util/format'
import { useStore } from '~/util/store'
import { readHealth, type ServerHealth } from './read-health'

type Fact = [string, React.ReactNode]

const ASK_EVERY_MS = 10_000
/** From here on a queue is worth a look. */
const LATE_SECONDS = 60
const MANY_REPORTS = 1000
const LITTLE_DISK_PERCENT = 10

/** How the server is: whether its database answers, and how far its queues lag behind. */
export function Health() {
  const maySeeSystem = !useHindrance('seeSystem')
  const live = useStore(line)
  const health = useQuery({
    queryKey: [...keys.health, maySeeSystem],
    queryFn: () => readHealth(maySeeSystem),
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
            ['Answers within', duration(health.data.answerSeconds)],
            [
              'Live events',
              live === 'live' ? (
                <Status tone="good">connected</Status>
              ) : (
                <Status tone="warn">{live}</Status>
              ),
            ],
            ['Devices online', count(health.data.agentsOnline)],
            ['Sessions open', count(health.data.tunnelsOpen)],
            ...(health.data.system ? ofSystem(health.data.system) : ofAnybody(health.data)),
          ]}
        />
      )}
    </Card>
  )
}

function ofAnybody({ database }: ServerHealth): Fact[] {
  return [['Database', database]]
}

function ofSystem(system: Schemas['System']): Fact[] {
  const { database, queues, disk } = system
  const free = disk ? share(disk.free_bytes, disk.total_bytes) : null
  return [
    ['Version', `${system.version}, protocol ${system.protocol}`],
    ['Runs since', <Time key="t" at={system.started_at} />],
    [
      'Database',
      `${database.kind}, ${bytes(database.size_bytes)}, answers in ${database.latency_ms.toFixed(1)} ms`,
    ],
    [
      'Reports to write',
      <Figure
        key="r"
        value={count(queues.reports_waiting)}
        tone={queues.reports_waiting > MANY_REPORTS ? 'warn' : 'good'}
      />,
    ],
    ['Audit to seal', count(queues.audit_unsealed)],
    [
      'Notifications',
      <Figure
        key="n"
        value={
          queues.notifications_pending === 0
            ? 'none waits'
            : `${count(queues.notifications_pending)} wait, ${duration(queues.notifications_late_seconds)} late`
        }
        tone={queues.notifications_late_seconds > LATE_SECONDS ? 'warn' : 'good'}
      />,
    ],
    ['Dashboards', count(system.event_streams)],
    [
      'Disk',
      disk && free !== null ? (
        <Figure
          key="d"
          value={`${bytes(disk.free_bytes)} free of ${bytes(disk.total_bytes)}`}
          tone={free < LITTLE_DISK_PERCENT ? 'warn' : 'good'}
        />
      ) : (
        'unknown'
      ),
    ],
  ]
}

function Figure({ value, tone }: { value: string; tone: Tone }) {
  return <Status tone={tone}>{value}</Status>
}
