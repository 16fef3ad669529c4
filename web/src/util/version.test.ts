import { expect, test } from 'vitest'
import { newerFirst } from './version'

test('versions are ordered as numbers, and one that comes before another is older', () => {
  const versions = ['1.0.0-rc.2', '0.9.0', '1.0.0', '1.0.0-rc.10', '0.10.0+build']
  expect(versions.sort(newerFirst)).toEqual([
    '1.0.0',
    '1.0.0-rc.10',
    '1.0.0-rc.2',
    '0.10.0+build',
    '0.9.0',
  ])
})
