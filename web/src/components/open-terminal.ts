import type { Schemas } from '~/api/client'
import { openTerminal as open } from '~/terminal'
import { plain } from '~/util/untrusted'

/** Opens a terminal of the device in the dock. */
export function openTerminal(agent: Pick<Schemas['Agent'], 'id' | 'hostname'>): void {
  open(agent.id, { agentName: plain(agent.hostname, 80) })
}
