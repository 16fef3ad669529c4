import { plain } from '~/util/untrusted'

const LONGEST_TITLE = 40

/** A title as a program may set it: for its own tab's label only, short, and with nothing hidden in it. */
export function titleOf(text: string): string {
  return plain(text, LONGEST_TITLE).trim()
}
