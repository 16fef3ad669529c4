import { createStore, useStore } from '~/util/store'
import { isOver, type LinkState } from '../session/link-state'
import type { ViewerLink } from '../session/viewer-link'
import type { TerminalTab } from './terminal-tab'

/** How a terminal is, in one word. */
export type TabHealth = 'open' | 'waiting' | 'ended' | 'failed'

const UNLINKED = createStore<LinkState>({ state: 'connecting' })

/** How a link is; as before its first connection where there is none. */
export function useLinkState(link: ViewerLink | undefined): LinkState {
  return useStore(link?.state ?? UNLINKED)
}

export function useTabHealth(tab: TerminalTab): TabHealth {
  const { phase, link } = useStore(tab.state)
  const line = useLinkState(link)
  if (phase === 'failed' || phase === 'ended') return phase
  if (link && isOver(line)) return 'failed'
  return phase === 'open' && line.state === 'connected' ? 'open' : 'waiting'
}
