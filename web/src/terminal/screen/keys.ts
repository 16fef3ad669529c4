/** What a key in a terminal does that is not the program's business. Pure. */

export type KeyAction =
  /** The program gets it. */
  | 'program'
  /** The browser does what it does, as pasting. */
  | 'browser'
  | 'copy'
  | 'search'
  /** Out of the terminal, to the dock's toolbar. */
  | 'leave'
  | 'larger'
  | 'smaller'
  | 'usual_size'

export interface Key {
  key: string
  ctrlKey: boolean
  shiftKey: boolean
  altKey: boolean
  metaKey: boolean
}

export interface KeyContext {
  hasSelection: boolean
  platform: 'windows' | 'mac' | 'other'
}

export function actionOf(key: Key, context: KeyContext): KeyAction {
  const name = key.key.toLowerCase()
  if (key.altKey) return 'program'
  if (key.metaKey) return macAction(name, context)
  if (!key.ctrlKey) return 'program'
  if (name === 'escape' && key.shiftKey) return 'leave'
  // Windows keeps Ctrl+Shift+Escape for itself.
  if (name === 'f6') return 'leave'
  if (key.shiftKey && name === 'c') return 'copy'
  if (key.shiftKey && name === 'v') return 'browser'
  if (key.shiftKey && name === 'f') return 'search'
  if (name === '+' || name === '=') return 'larger'
  if (key.shiftKey) return 'program'
  if (name === 'c' && context.hasSelection) return 'copy'
  if (name === 'v' && context.platform === 'windows') return 'browser'
  if (name === '-') return 'smaller'
  if (name === '0') return 'usual_size'
  return 'program'
}

function macAction(name: string, context: KeyContext): KeyAction {
  if (context.platform !== 'mac') return 'program'
  if (name === 'c' || name === 'v') return 'browser'
  if (name === 'f') return 'search'
  if (name === '+' || name === '=') return 'larger'
  if (name === '-') return 'smaller'
  if (name === '0') return 'usual_size'
  return 'program'
}

export function platformOf(userAgent: string): KeyContext['platform'] {
  if (/Windows/.test(userAgent)) return 'windows'
  return /Mac OS|Macintosh|iPhone|iPad/.test(userAgent) ? 'mac' : 'other'
}
