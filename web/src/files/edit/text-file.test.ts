import { expect, test } from 'vitest'
import { readText, writeText } from './text-file'

const encode = (text: string) => new TextEncoder().encode(text)

test.each(['', 'a', 'a\nb\n', 'a\r\nb\r\n', '\ufeffa\r\nb', 'Müller 机器 🙂\n'])(
  '%j comes back the same',
  whole => {
    const file = readText(encode(whole))
    expect(file?.text).not.toContain('\r')
    expect(file && writeText(file)).toBe(whole)
  },
)

test('what is added has the line ends of the rest', () => {
  const file = readText(encode('a\r\nb\r\n'))
  expect(file && writeText({ ...file, text: `${file.text}c\n` })).toBe('a\r\nb\r\nc\r\n')
})

test.each([
  ['no UTF-8', Uint8Array.from([0xff, 0xfe])],
  ['a NUL', encode('a\0b')],
  ['mixed line ends', encode('a\r\nb\nc')],
  ['a single carriage return', encode('a\rb')],
])('%s is not edited here', (_, bytes) => {
  expect(readText(bytes)).toBeUndefined()
})
