import { expect, test } from 'vitest'
import type { FileInfo } from '../machine'
import { sorted } from './use-listing'

const file = (name: string, size: number, modified = ''): FileInfo => ({
  name,
  kind: 'file',
  size,
  modified,
})
const items: FileInfo[] = [
  file('b10', 3, '2026-01-02T00:00:00Z'),
  file('b9', 9, '2026-01-03T00:00:00Z'),
  { name: 'z', kind: 'directory', size: 0 },
  file('a', 3, '2026-01-01T00:00:00Z'),
]

test.each([
  ['name', false, 'z a b9 b10'],
  ['name', true, 'z b10 b9 a'],
  ['size', false, 'z a b10 b9'],
  ['size', true, 'z b9 b10 a'],
  ['modified', true, 'z b9 b10 a'],
] as const)('by %s, downwards: %s', (column, down, names) => {
  const order = sorted(items, { column, down }).map(item => item.name)
  expect(order.join(' ')).toBe(names)
})
