import { Status, type Tone } from '~/ui/status'

const TONES: Record<string, Tone> = { critical: 'bad', warning: 'warn', info: 'info' }

export function SeverityMark({ severity }: { severity: string }) {
  return <Status tone={TONES[severity] ?? 'idle'}>{severity}</Status>
}
