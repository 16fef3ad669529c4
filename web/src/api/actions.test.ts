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
