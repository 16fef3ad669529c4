import { getRouteApi } from '@tanstack/react-router'
import { SessionGate } from '~/components/session-gate'
import { useDevice } from './use-device'

const route = getRouteApi('/inside/devices/$agentId')

export default function DeviceFilesPage() {
  const { agentId } = route.useParams()
  const agent = useDevice(agentId).data
  if (!agent) return null
  return (
    <SessionGate agent={agent} what="files">
      {() => null}
    </SessionGate>
  )
}
