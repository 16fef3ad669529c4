import { getRouteApi } from '@tanstack/react-router'
import { AlertGrid } from '~/pages/alerts/alert-grid'

const route = getRouteApi('/inside/devices/$agentId')

export default function DeviceAlertsPage() {
  const { agentId } = route.useParams()
  return <AlertGrid agentId={agentId} />
}
