import { expect, test } from 'vitest'
import { output, plain } from './untrusted'

test('an override of direction in a host name becomes visible', () => {
  expect(plain('ws-\u202e042')).toBe('ws-\ufffd042')
})

test('a line end in a name does not make a second line', () => {
  expect(plain('one\r\ntwo')).toBe('one two')
})

test('a name without an end is cut', () => {
  expect(plain('x'.repeat(600))).toBe(`${'x'.repeat(512)}…`)
})

test('markup stays text', () => {
  expect(plain('<img src=x onerror=alert(1)>')).toBe('<img src=x onerror=alert(1)>')
})

test('colours and titles are taken out of output, lines stay', () => {
  expect(output('\u001b[31mred\u001b[0m\r\n\u001b]0;title\u0007next')).toBe('red\nnext')
})
