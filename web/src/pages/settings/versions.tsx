import { Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api, body } from '~/api/client'
import { keys } from '~/api/queries'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Table } from '~/ui/table'
import { count } from '~/util/format'
import { plain } from '~/util/untrusted'

/** Which agents there are, by version and by system. */
export function Versions() {
  const stats = useQuery({
    queryKey: keys.stats,
    queryFn: () => body(api.GET('/api/agents/stats')),
  })
  const rows = (of: Record<string, number> | undefined) =>
    Object.entries(of ?? {})
      .sort(([, a], [, b]) => b - a)
      .map(([name, number]) => ({
        key: name,
        cells: [plain(name, 60) || 'unknown', count(number)],
      }))
  return (
    <Card title="Agents">
      <ErrorNote error={stats.error} retry={() => void stats.refetch()} />
      {stats.isPending ? (
        <Skeleton height={120} />
      ) : (
        <>
          <Table
            label="Versions of agents"
            head={['Version', 'Devices']}
            rows={rows(stats.data?.by_version)}
            none="No devices yet."
          />
          <Table
            label="Systems"
            head={['System', 'Devices']}
            rows={rows(stats.data?.by_os_family)}
            none=""
          />
        </>
      )}
    </Card>
  )
}
