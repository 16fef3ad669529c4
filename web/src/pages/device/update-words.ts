import type { Schemas } from '~/api/client'
import type { Tone } from '~/ui/status'
import { words } from '~/util/format'

type Update = Schemas['AgentUpdate']

const STATES: Record<string, [Tone, string]> = {
  pending: ['idle', 'waiting'],
  sent: ['info', 'sent'],
  completed: ['good', 'completed'],
  failed: ['bad', 'failed'],
}

/** The state of an update with the code that says why: `failed: rolled back`. */
export function stateOf({ status, code }: Pick<Update, 'status' | 'code'>): {
  tone: Tone
  text: string
} {
  const [tone, text] = STATES[status] ?? (['idle', words(status)] as const)
  return { tone, text: code ? `${text}: ${words(code)}` : text }
}

export function isOpen({ status }: Pick<Update, 'status'>): boolean {
  return status === 'pending' || status === 'sent'
}

/** `0.1.0 → 0.2.0`; without the first where nobody knew what ran. */
export function wayOf({ from_version, to_version }: Update): string {
  return from_version ? `${from_version} → ${to_version}` : to_version
}
