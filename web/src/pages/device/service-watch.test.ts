import { expect, test } from 'vitest'
import { applyChanges } from './service-watch'

test('changes are put into the list, and what only the list knows stays', () => {
  const cron = { name: 'cron', state: 'running', description: 'Regular jobs', pid: 7 }
  const ssh = { name: 'ssh', state: 'running' }
  const after = applyChanges(
    [cron, ssh],
    [
      { change: 'present', service: { name: 'cron', state: 'running' } },
      { change: 'removed', service: ssh },
      { change: 'added', service: { name: 'atd', state: 'stopped' } },
    ],
  )
  expect(after).toEqual([{ name: 'atd', state: 'stopped' }, cron])
  const stopped = { change: 'changed' as const, service: { name: 'cron', state: 'stopped' } }
  expect(applyChanges(after, [stopped])[1]).toEqual({ ...cron, state: 'stopped', pid: undefined })
})
