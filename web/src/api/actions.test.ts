import { expect, test } from 'vitest'
import { hindrance } from './actions'
import type { Schemas } from './client'
import type { User } from './session'

const user = (role: string, scope: User['scope'] = null) => ({ role, scope }) as User
const agent = (status: string) => ({ status }) as Schemas['Agent']

test('a terminal needs a technician and a device that is there', () => {
  expect(hindrance('openTerminal', user('technician'), agent('online'))).toBeNull()
  expect(hindrance('openTerminal', user('technician'), agent('offline'))).toContain('offline')
  expect(hindrance('openTerminal', user('read_only'), agent('online'))).toContain('read only')
})

test('a command waits for a device that is away', () => {
  expect(hindrance('runCommand', user('technician'), agent('offline'))).toBeNull()
})

test('scripts are written by who sees everything', () => {
  const scope = { client_ids: ['c'], site_ids: [] }
  expect(hindrance('writeScripts', user('technician', scope))).toContain('all clients')
  expect(hindrance('writeScripts', user('technician'))).toBeNull()
})

test('a rollout is paused, resumed and stopped in the states that allow it', () => {
  const may = (state: string) => {
    const rollout = { state, wave: 1, waves: [10, 100] } as Schemas['Rollout']
    const acts = ['pauseRollout', 'resumeRollout', 'stopRollout', 'advanceRollout'] as const
    return acts.filter(act => !hindrance(act, user('administrator'), rollout))
  }
  expect(may('running')).toEqual(['pauseRollout', 'stopRollout', 'advanceRollout'])
  expect(may('paused')).toEqual(['resumeRollout', 'stopRollout'])
  expect(may('failed')).toEqual([])
})

test('after the last wave there is no next one', () => {
  const rollout = { state: 'running', wave: 2, waves: [10, 100] } as Schemas['Rollout']
  expect(hindrance('advanceRollout', user('administrator'), rollout)).toContain('last wave')
})

test('rollouts are of who sees all clients, one device is of its own administrator, too', () => {
  const scope = { client_ids: ['c'], site_ids: [] }
  expect(hindrance('manageUpdates', user('administrator', scope))).toContain('all clients')
  expect(hindrance('updateAgent', user('administrator', scope), agent('offline'))).toBeNull()
  expect(hindrance('updateAgent', user('technician'), agent('online'))).toContain('technician')
})
