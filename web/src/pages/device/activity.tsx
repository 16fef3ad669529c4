import { getRouteApi } from '@tanstack/react-router'
import { useHindrance } from '~/api/me'
import { AuditGrid } from '~/pages/audit/audit-grid'
import { CommandGrid } from '~/pages/jobs/command-grid'

const route = getRouteApi('/inside/devices/$agentId')

/** Who did what here: for administrators the audit, for others what was run. */
export default function DeviceActivityPage() {
  const { agentId } = route.useParams()
  const mayNot = useHindrance('seeAudit')
  if (mayNot) return <CommandGrid filter={{ agent_id: agentId }} />
  return <AuditGrid filter={{ agent_id: agentId }} />
}
