import { expect, test } from 'vitest'
import { fromPatterns, fromServices, toPatterns, toServices } from './lines'

test('patterns are read and written a line each', () => {
  const patterns = [{ glob: 'systemctl *' }, { regex: '^rm ' }]
  expect(toPatterns(fromPatterns(patterns))).toEqual(patterns)
})

test('a service needs no more than its name', () => {
  expect(toServices('nginx\nsshd restart 3 60\n')).toEqual([
    { name: 'nginx' },
    { name: 'sshd', action: 'restart', max_restarts: 3, restart_cooldown_seconds: 60 },
  ])
  expect(fromServices([{ name: 'sshd', action: 'alert' }])).toBe('sshd alert')
})
