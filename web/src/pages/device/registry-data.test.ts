import { expect, test } from 'vitest'
import { parents, parseData } from './registry-data'

test('each part of a key has its path', () => {
  expect(parents('HKLM\\SOFTWARE')).toEqual([
    ['HKLM', 'HKLM'],
    ['SOFTWARE', 'HKLM\\SOFTWARE'],
  ])
})

test('numbers are read in both bases, within their size', () => {
  expect(parseData('dword', '0x1f')).toEqual({ data: { type: 'dword', data: 31 } })
  expect(parseData('dword', '4294967296')).toHaveProperty('error')
  expect(parseData('dword', '')).toHaveProperty('error')
})

test('bytes are pairs of digits', () => {
  expect(parseData('binary', '0A ff')).toEqual({ data: { type: 'binary', data: '0aff' } })
  expect(parseData('binary', '0A f')).toHaveProperty('error')
})
