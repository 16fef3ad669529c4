import { expect, test } from 'vitest'
import { safeUrl } from './link-question'

test.each(['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'ssh://host', 'x', ''])(
  '%s is no link',
  uri => {
    expect(safeUrl(uri)).toBeUndefined()
  },
)

test('look-alike letters of a host show', () => {
  expect(safeUrl('https://аpple.com/')?.hostname).toBe('xn--pple-43d.com')
})
