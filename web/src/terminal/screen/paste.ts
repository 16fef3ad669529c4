/** What is pasted into a terminal, and whether somebody should look at it first. Pure. */

/** Controls that no text to be pasted needs: with ESC a paste could end its own brackets and go on as keys. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g

/** Lines that a question shows. */
const SHOWN_LINES = 12
const SHOWN_CHARACTERS = 120

export interface Paste {
  text: string
  lines: number
  /** Controls that were taken out. */
  removed: number
}

export function pasteOf(raw: string): Paste {
  const text = raw.replace(/\r\n?/g, '\n').replace(CONTROLS, '')
  const removed = raw.match(CONTROLS)?.length ?? 0
  // A line end at the end begins no other line, though it runs the last one.
  return { text, lines: text.replace(/\n$/, '').split('\n').length, removed }
}

/** Whether a shell could run something of it before anybody has read it. */
export function needsQuestion(paste: Paste): boolean {
  return paste.text.includes('\n') || paste.removed > 0
}

/** The same on one line, for those who copied a line end along. */
export function onOneLine(paste: Paste): string {
  return paste.text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
    .join(' ')
}

/** What a question shows of it. */
export function excerpt(paste: Paste): string[] {
  const lines = paste.text.replace(/\n$/, '').split('\n')
  const shown = lines.slice(0, SHOWN_LINES).map(cut)
  if (lines.length > SHOWN_LINES) shown.push(`… and ${lines.length - SHOWN_LINES} more lines`)
  return shown
}

function cut(line: string): string {
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line
}
