/**
 * Text that a machine sent, fit to be shown: controls, bidirectional overrides and invisible marks
 * become visible, so that a host name cannot pretend to be another one.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Variation_Selector}\u115f\u1160\u3164\uffa0]/gu
const HIDDEN_IN_LINES = /(?!\n|\t)[\p{Cc}\p{Cf}]/gu

const LONGEST = 512

/** One line: tabs and line ends become spaces. */
export function plain(text: string | null | undefined, longest = LONGEST): string {
  if (!text) return ''
  const line = text.replace(/[\t\n\r]+/g, ' ').replace(HIDDEN, '\ufffd')
  return line.length > longest ? `${line.slice(0, longest)}…` : line
}

/** Several lines, as a command's output: escape sequences for colours are taken out first. */
export function output(text: string | null | undefined): string {
  if (!text) return ''
  return text.replace(ESCAPES, '').replace(/\r\n?/g, '\n').replace(HIDDEN_IN_LINES, '\ufffd')
}

const ESCAPES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g
