import { expect, test } from 'vitest'
import { partsOf, visible } from './visible-name'

test.each([
  ['report.txt', 'report.txt'],
  ['Müller – 机器 🙂.md', 'Müller – 机器 🙂.md'],
  ['annexe\u202egpj.exe', 'annexe⟨U+202E⟩gpj.exe'],
  ['a\nb\t\u001b[31m', 'a⟨U+000A⟩b⟨U+0009⟩⟨U+001B⟩[31m'],
  ['x\u200b', 'x⟨U+200B⟩'],
  ['a b', 'a b'],
  ['secret.txt ', 'secret.txt⟨U+0020⟩'],
  [' .bashrc', '⟨U+0020⟩.bashrc'],
  ['a\u00a0b', 'a⟨U+00A0⟩b'],
  ['<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
])('%j is shown as %s', (name, shown) => {
  expect(visible(name)).toBe(shown)
})

test('what can be seen stays in one part', () => {
  expect(partsOf('abc\u202edef')).toEqual([
    { text: 'abc', hidden: false },
    { text: 'U+202E', hidden: true },
    { text: 'def', hidden: false },
  ])
})
