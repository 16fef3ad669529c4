/**
 * Terminals for the rest of the dashboard. What is heavy (xterm, the link to the server, the player) comes when it is
 * first needed.
 *
 * ```text
 *   pages ── openTerminal ──▶ tabs/ (which terminals there are) ◀── dock/ (shows them)
 *                                                                    ├── screen/  xterm, keys, pastes, links
 *                                                                    └── session/ one link a session ── wire/
 * ```
 */

export { RecordingPlayer } from './player'
export { type OpenTerminalOptions, openTerminal, watchSession } from './tabs/dock-store'
export { TerminalDock } from './terminal-dock'
