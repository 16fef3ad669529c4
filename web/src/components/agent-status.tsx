import { Status } from '~/ui/status'

export function AgentStatus({ status }: { status: string }) {
  return status === 'online' ? (
    <Status tone="good">Online</Status>
  ) : (
    <Status tone="idle">Offline</Status>
  )
}
