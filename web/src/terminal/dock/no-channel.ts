import { createStore } from '~/util/store'
import type { TerminalState } from '../session/terminal-channel'

/** Stands for a terminal that is not there yet. */
export const NO_CHANNEL = createStore<TerminalState>({
  program: '',
  size: { cols: 80, rows: 24 },
  holder: undefined,
  attached: false,
  ended: undefined,
})
