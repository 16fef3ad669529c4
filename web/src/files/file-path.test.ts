import { expect, test } from 'vitest'
import { crumbsOf, isAbsolute, join, nameOf, nameProblem, parentOf, tidy } from './file-path'

const paths = (path: string) => crumbsOf(path).map(crumb => crumb.path)

test.each([
  ['/', ['/']],
  ['/var/log', ['/', '/var', '/var/log']],
  ['C:\\', ['C:\\']],
  ['C:\\Users\\Ada', ['C:\\', 'C:\\Users', 'C:\\Users\\Ada']],
  ['\\\\server\\share\\a', ['\\\\server\\share', '\\\\server\\share\\a']],
])('the folders of %s', (path, folders) => {
  expect(paths(path)).toEqual(folders)
})

test.each([
  ['/', 'etc', '/etc'],
  ['/etc', 'hosts', '/etc/hosts'],
  ['C:\\', 'a', 'C:\\a'],
  ['C:\\a', 'b c', 'C:\\a\\b c'],
])('%s and %s', (folder, name, path) => {
  expect(join(folder, name)).toBe(path)
  expect(parentOf(path)).toBe(folder)
  expect(nameOf(path)).toBe(name)
})

test.each([
  [' /var//log/ ', '/var/log'],
  ['/', '/'],
  ['c:', 'c:\\'],
  ['C:/Users/', 'C:\\Users'],
  ['\\\\server\\share\\', '\\\\server\\share'],
])('%j is tidied to %s', (typed, path) => {
  expect(tidy(typed)).toBe(path)
})

test.each([
  ['/a', true],
  ['a', false],
  ['', false],
  ['C:\\', true],
  ['C:', false],
  ['\\\\server\\share', true],
  ['\\\\server', false],
])('%s is absolute: %s', (path, absolute) => {
  expect(isAbsolute(path)).toBe(absolute)
})

test.each(['', '.', '..', 'a/b', 'a\0', 'x'.repeat(256)])('%j is no name', name => {
  expect(nameProblem(name, 'posix')).toBeDefined()
})

test('Windows refuses more', () => {
  expect(nameProblem('a:b', 'posix')).toBeUndefined()
  expect(nameProblem('a:b', 'windows')).toBeDefined()
})

test('a name above the top is the top', () => {
  expect(parentOf('/')).toBe('/')
  expect(parentOf('C:\\')).toBe('C:\\')
})
