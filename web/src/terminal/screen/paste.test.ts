import { expect, test } from 'vitest'
import { excerpt, needsQuestion, onOneLine, pasteOf } from './paste'

test('one line is pasted as it is', () => {
  const paste = pasteOf('systemctl status nginx\tx')
  expect(paste).toEqual({ text: 'systemctl status nginx\tx', lines: 1, removed: 0 })
  expect(needsQuestion(paste)).toBe(false)
})

test.each(['a\n', 'a\nb', 'a\r\nb', 'a\rb'])('%j is asked about', text => {
  expect(needsQuestion(pasteOf(text))).toBe(true)
})

test('a paste cannot end its own brackets', () => {
  const paste = pasteOf('ls\u001b[201~rm -rf /\u009b')
  expect(paste.text).toBe('ls[201~rm -rf /')
  expect(paste.removed).toBe(2)
  expect(needsQuestion(paste)).toBe(true)
})

test('line ends that were copied along can be left out', () => {
  expect(onOneLine(pasteOf('  sudo \\\n   reboot\n'))).toBe('sudo \\ reboot')
})

test('a question shows the beginning of much', () => {
  const lines = excerpt(pasteOf(Array.from({ length: 40 }, (_, at) => `${at}`).join('\n')))
  expect(lines).toHaveLength(13)
  expect(lines.at(-1)).toBe('… and 28 more lines')
  expect(excerpt(pasteOf('x'.repeat(500)))[0]).toHaveLength(121)
})
