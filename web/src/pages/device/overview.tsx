import { SimpleGrid, Stack } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { Card } from '~/ui/card'
import { OpenAlerts } from './overview-alerts'
import { HardwareCard } from './overview-hardware'
import { SystemCard } from './overview-system'
import { UpdatesCard } from './overview-updates'
import { useDevice } from './use-device'

const Charts = lazy(() => import('./charts'))
const route = getRouteApi('/inside/devices/$agentId')

export default function OverviewPage() {
  const { agentId } = route.useParams()
  const agent = useDevice(agentId).data
  if (!agent) return null
  return (
    <Stack gap="sm" style={{ overflow: 'auto', flex: 1, minHeight: 0 }}>
      <OpenAlerts agentId={agentId} />
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm">
        <SystemCard agent={agent} />
        <HardwareCard agent={agent} />
      </SimpleGrid>
      <UpdatesCard agent={agent} />
      <Suspense fallback={<Card title="Load">Loading the charts…</Card>}>
        <Charts agentId={agentId} />
      </Suspense>
    </Stack>
  )
}
