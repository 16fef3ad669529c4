export const SHORTEST = 10
export const LONGEST = 256

export interface Strength {
  /** 0 to 4. */
  score: number
  word: string
}

const WORDS = ['too short', 'weak', 'fair', 'good', 'strong']
const COMMON = /password|qwert|admin|letmein|welcome|12345|abcde|gururmm/i

/**
 * A rough guess, by the number of possibilities that length and kinds of characters leave, less what
 * repeats or is among the first that are tried.
 */
export function strength(password: string): Strength {
  if (password.length < SHORTEST) return { score: 0, word: WORDS[0] as string }
  let kinds = 0
  if (/[a-z]/.test(password)) kinds += 26
  if (/[A-Z]/.test(password)) kinds += 26
  if (/\d/.test(password)) kinds += 10
  if (/[^A-Za-z\d]/.test(password)) kinds += 33
  const distinct = new Set(password).size
  const length = Math.min(password.length, distinct * 1.5)
  let bits = length * Math.log2(kinds)
  if (COMMON.test(password)) bits -= 30
  const score = bits < 45 ? 1 : bits < 60 ? 2 : bits < 78 ? 3 : 4
  return { score, word: WORDS[score] as string }
}
