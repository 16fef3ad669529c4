import { expect, test } from 'vitest'
import { actionOf, type Key, type KeyContext, platformOf } from './keys'

function key(text: string): Key {
  const parts = text.split(' ')
  return {
    key: parts.at(-1) ?? '',
    ctrlKey: parts.includes('ctrl'),
    shiftKey: parts.includes('shift'),
    altKey: parts.includes('alt'),
    metaKey: parts.includes('meta'),
  }
}

const other: KeyContext = { hasSelection: false, platform: 'other' }

test.each([
  ['a', other, 'program'],
  ['ctrl c', other, 'program'],
  ['ctrl c', { ...other, hasSelection: true }, 'copy'],
  ['ctrl alt c', { ...other, hasSelection: true }, 'program'],
  ['ctrl shift C', other, 'copy'],
  ['ctrl shift V', other, 'browser'],
  ['ctrl v', other, 'program'],
  ['ctrl v', { ...other, platform: 'windows' }, 'browser'],
  ['ctrl k', other, 'program'],
  ['ctrl shift F', other, 'search'],
  ['ctrl f', other, 'program'],
  ['ctrl shift Escape', other, 'leave'],
  ['ctrl F6', other, 'leave'],
  ['Escape', other, 'program'],
  ['Tab', other, 'program'],
  ['ctrl +', other, 'larger'],
  ['ctrl shift +', other, 'larger'],
  ['ctrl -', other, 'smaller'],
  ['ctrl shift _', other, 'program'],
  ['ctrl 0', other, 'usual_size'],
  ['meta c', { ...other, platform: 'mac' }, 'browser'],
  ['meta v', { ...other, platform: 'mac' }, 'browser'],
  ['meta v', other, 'program'],
] as [string, KeyContext, string][])('%s', (text, context, action) => {
  expect(actionOf(key(text), context)).toBe(action)
})

test('the platform is told from the browser', () => {
  expect(platformOf('Mozilla/5.0 (Windows NT 10.0; Win64; x64)')).toBe('windows')
  expect(platformOf('Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)')).toBe('mac')
  expect(platformOf('Mozilla/5.0 (X11; Linux x86_64)')).toBe('other')
})
