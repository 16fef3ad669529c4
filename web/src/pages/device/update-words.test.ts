import { expect, test } from 'vitest'
import type { Schemas } from '~/api/client'
import { isOpen, stateOf, wayOf } from './update-words'

test('a state is told with the code that says why', () => {
  expect(stateOf({ status: 'failed', code: 'rolled_back' })).toEqual({
    tone: 'bad',
    text: 'failed: rolled back',
  })
  expect(stateOf({ status: 'pending', code: 'busy' }).text).toBe('waiting: busy')
  expect(stateOf({ status: 'completed', code: null }).text).toBe('completed')
  expect(stateOf({ status: 'of_tomorrow', code: null })).toEqual({
    tone: 'idle',
    text: 'of tomorrow',
  })
})

test('an update is open until it has ended', () => {
  const open = ['pending', 'sent', 'completed', 'failed'].filter(status => isOpen({ status }))
  expect(open).toEqual(['pending', 'sent'])
})

test('it says from what to what', () => {
  const update = (from_version: string | null) =>
    wayOf({ from_version, to_version: '0.2.0' } as Schemas['AgentUpdate'])
  expect(update('0.1.0')).toBe('0.1.0 → 0.2.0')
  expect(update(null)).toBe('0.2.0')
})
