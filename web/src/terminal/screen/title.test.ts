import { expect, test } from 'vitest'
import { titleOf } from './title'

test.each([
  ['vim notes', 'vim notes'],
  ['a\nb', 'a b'],
  ['\u202egnp.exe', '\ufffdgnp.exe'],
  ['<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
  ['\u0007\u200b', '\ufffd\ufffd'],
])('%j is shown as %j', (title, shown) => {
  expect(titleOf(title)).toBe(shown)
})

test('a long title is cut', () => {
  expect(titleOf('x'.repeat(1000))).toHaveLength(41)
})
