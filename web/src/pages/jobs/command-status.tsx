import { Status, type Tone } from '~/ui/status'
import { words } from '~/util/format'

const TONES: Record<string, Tone> = {
  pending: 'idle',
  running: 'info',
  completed: 'good',
  failed: 'bad',
}

export function CommandStatus({
  status,
  reason,
  exitCode,
}: {
  status: string
  reason?: string | null
  exitCode?: number | null
}) {
  const why =
    status === 'failed'
      ? reason === 'exit_code'
        ? `exit code ${exitCode}`
        : words(reason ?? '')
      : ''
  return (
    <Status tone={TONES[status] ?? 'idle'}>
      {status === 'pending' ? 'waiting' : status}
      {why && `: ${why}`}
    </Status>
  )
}
