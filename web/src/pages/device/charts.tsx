import { SegmentedControl, SimpleGrid, Skeleton, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { Card } from '~/ui/card'
import { Chart } from '~/ui/chart'
import { ErrorNote } from '~/ui/error-note'
import { bytes, percent } from '~/util/format'
import { RANGES, type Range, toSeries } from './history'

const REFRESH_MS = 30_000
/** A day of minutes is 1440 points, and a page has 1000 at most. */
const PAGES = 3

async function points(id: string, range: Range): Promise<Schemas['LoadPoint'][]> {
  const { seconds, step } = RANGES[range]
  const from = new Date(Date.now() - seconds * 1000).toISOString()
  const found: Schemas['LoadPoint'][] = []
  let cursor: string | undefined
  for (let page = 0; page < PAGES; page += 1) {
    const answer = await body(
      api.GET('/api/agents/{id}/metrics', {
        params: { path: { id }, query: { from, step, limit: 1000, cursor } },
      }),
    )
    found.push(...answer.items)
    cursor = answer.next_cursor ?? undefined
    if (!cursor) break
  }
  return found
}

export default function Charts({ agentId }: { agentId: string }) {
  const [range, setRange] = useState<Range>('1h')
  const history = useQuery({
    queryKey: ['history', agentId, range],
    queryFn: () => points(agentId, range),
    select: found => toSeries(found, RANGES[range].step),
    refetchInterval: REFRESH_MS,
  })
  const series = history.data
  const to = history.dataUpdatedAt / 1000
  const time = { from: to - RANGES[range].seconds, to }
  const empty = series && series.at.length === 0
  return (
    <Card
      title="Load"
      actions={
        <SegmentedControl
          aria-label="Time shown"
          value={range}
          onChange={value => setRange(value as Range)}
          data={[
            { value: '1h', label: '1 hour' },
            { value: '24h', label: '1 day' },
            { value: '7d', label: '7 days' },
            { value: '30d', label: '30 days' },
          ]}
        />
      }
    >
      <ErrorNote error={history.error} retry={() => void history.refetch()} />
      {history.isPending && <Skeleton height={280} />}
      {empty && <Text c="dimmed">Nothing was measured in this time.</Text>}
      {series && !empty && (
        <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="sm">
          <Chart
            {...time}
            title="CPU"
            at={series.at}
            lines={[{ name: 'CPU', values: series.cpu }]}
            format={percent}
            most={100}
          />
          <Chart
            {...time}
            title="Memory"
            at={series.at}
            lines={[{ name: 'Memory', values: series.memory }]}
            format={percent}
            most={100}
          />
          <Chart
            {...time}
            title="Disk"
            at={series.at}
            lines={[{ name: 'Disk', values: series.disk }]}
            format={percent}
            most={100}
          />
          <Chart
            {...time}
            title="Network"
            at={series.at}
            lines={[
              { name: 'In', values: series.received },
              { name: 'Out', values: series.sent },
            ]}
            format={value => `${bytes(value)}/s`}
          />
        </SimpleGrid>
      )}
    </Card>
  )
}
