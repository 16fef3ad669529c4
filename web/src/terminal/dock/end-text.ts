import type { TerminalEnd } from '../session/terminal-channel'

/** How a terminal ended, in words. */
export function endOf(ended: TerminalEnd | undefined): string {
  if (!ended) return 'The terminal has ended.'
  if (ended.kind === 'cut_off') return `The terminal was cut off: ${ended.reset.reason}.`
  const { exit_code: code, error, reason } = ended.closed
  if (error) return `The terminal has failed: ${error.message}.`
  if (code === undefined || code === null) {
    return reason ? `The terminal was ended (${reason}).` : 'The terminal was ended.'
  }
  if (code > 128 && code < 160) return `The shell was ended by signal ${code - 128}.`
  return `The shell has ended with exit code ${code}.`
}
