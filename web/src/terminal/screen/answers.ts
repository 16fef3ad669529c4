/**
 * Programs ask terminals what they are and where the cursor is. Where several people watch one terminal, only the one who
 * holds its size answers: a program that is answered twice takes the second answer for something that was typed.
 */

import type { IDisposable, Terminal } from '@xterm/xterm'

/** Lets terminal questions pass only while `mayAnswer` says so. */
export function guardAnswers(term: Terminal, mayAnswer: () => boolean): IDisposable[] {
  const { parser } = term
  // Handlers answer whether the sequence is done with; otherwise the terminal's own one comes next.
  const silent = () => !mayAnswer()
  const asks = (params: (number | number[])[]) => params.length > 0 && silent()
  return [
    // Device attributes: primary, secondary, tertiary; name and version.
    parser.registerCsiHandler({ final: 'c' }, silent),
    parser.registerCsiHandler({ prefix: '>', final: 'c' }, silent),
    parser.registerCsiHandler({ prefix: '=', final: 'c' }, silent),
    parser.registerCsiHandler({ prefix: '>', final: 'q' }, silent),
    // Status and cursor position.
    parser.registerCsiHandler({ final: 'n' }, asks),
    parser.registerCsiHandler({ prefix: '?', final: 'n' }, asks),
    // Modes.
    parser.registerCsiHandler({ intermediates: '$', final: 'p' }, silent),
    parser.registerCsiHandler({ prefix: '?', intermediates: '$', final: 'p' }, silent),
    // Settings and colours.
    parser.registerDcsHandler({ intermediates: '$', final: 'q' }, silent),
    ...[4, 10, 11, 12].map(code =>
      parser.registerOscHandler(code, data => data.includes('?') && silent()),
    ),
  ]
}

/** Takes away what output must never do: reach the clipboard, move or resize windows, ask for titles. */
export function refuseTricks(term: Terminal): IDisposable[] {
  const { parser } = term
  const done = () => true
  // 9 and 777 notify, 52 is the clipboard, 1337 is iTerm's: files, clipboard and more.
  const oscs = [9, 52, 777, 1337].map(code => parser.registerOscHandler(code, done))
  return [...oscs, parser.registerCsiHandler({ final: 't' }, done)]
}
