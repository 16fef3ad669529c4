/** Small text files, edited in the page: how they are read and what must be the same again when they are written. Pure. */

/** Larger ones are downloaded. */
export const MOST_BYTES = 1024 * 1024

const BOM = '\ufeff'

export interface TextFile {
  /** As it is edited: with `\n` between lines, without a byte order mark. */
  text: string
  lineEnd: '\n' | '\r\n'
  bom: boolean
}

/** Reads bytes; none where they are no text that comes back the same. */
export function readText(bytes: Uint8Array): TextFile | undefined {
  let whole: string
  try {
    whole = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
  if (whole.includes('\0')) return undefined
  const bom = whole.startsWith(BOM)
  const body = bom ? whole.slice(1) : whole
  const lineEnd = body.includes('\r\n') ? '\r\n' : '\n'
  const text = body.replaceAll('\r\n', '\n')
  const file: TextFile = { text, lineEnd, bom }
  // A single \r would be lost in a text field, and mixed line ends would be made one: that is no edit.
  const same = !text.includes('\r') && writeText(file) === whole
  return same ? file : undefined
}

/** The whole text as it is written. */
export function writeText({ text, lineEnd, bom }: TextFile): string {
  const body = lineEnd === '\n' ? text : text.replaceAll('\n', '\r\n')
  return bom ? BOM + body : body
}
