/**
 * Names of files as they are: a machine's file may be called anything, also what would hide a part of its name or turn
 * it around. Such characters are shown by their number.
 */

const HIDDEN = /[\p{Cc}\p{Cf}\p{Variation_Selector}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/u
/** Spaces that cannot be seen where they stand, and such that are none of the usual one. */
const ODD_SPACE = /^ | $|(?! )\p{Zs}/u

export interface NamePart {
  text: string
  /** Stands for a character that would not be seen. */
  hidden: boolean
}

/** A name in parts: what can be seen, and what stands for what cannot. */
export function partsOf(name: string): NamePart[] {
  const parts: NamePart[] = []
  const characters = [...name]
  characters.forEach((character, at) => {
    const edge = at === 0 || at === characters.length - 1
    const hidden = HIDDEN.test(character) || isOddSpace(character, edge)
    const text = hidden ? numberOf(character) : character
    const last = parts.at(-1)
    if (last && !hidden && !last.hidden) last.text += text
    else parts.push({ text, hidden })
  })
  return parts
}

function isOddSpace(character: string, edge: boolean): boolean {
  return character === ' ' ? edge : ODD_SPACE.test(character)
}

function numberOf(character: string): string {
  const number = character.codePointAt(0) ?? 0
  return `U+${number.toString(16).toUpperCase().padStart(4, '0')}`
}

/** The same as one text, for labels. */
export function visible(name: string): string {
  return partsOf(name)
    .map(part => (part.hidden ? `⟨${part.text}⟩` : part.text))
    .join('')
}
