import { Status } from '~/ui/status'
import { words } from '~/util/format'
import type { Act } from './audit-grid'

const FINE = ['ok', 'completed', 'ready', 'delivered']

export function Outcome({ act }: { act: Act }) {
  if (!act.outcome) return <Status tone="info">going on</Status>
  if (FINE.includes(act.outcome)) return <Status tone="good">{act.outcome}</Status>
  return <Status tone={act.outcome === 'unknown' ? 'idle' : 'warn'}>{words(act.outcome)}</Status>
}
