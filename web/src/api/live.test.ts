import { QueryClient } from '@tanstack/react-query'
import { beforeEach, expect, test, vi } from 'vitest'
import type { Schemas } from './client'
import { createLive } from './live'
import { keys } from './queries'

type Agent = Schemas['Agent']

function agent(id: string): Agent {
  return {
    id,
    hostname: id,
    device_id: id,
    status: 'offline',
    os: { family: 'linux', name: 'Debian', version: '13', arch: 'x86_64' },
    protocol: 2,
    created_at: '2026-01-01T00:00:00Z',
    metrics: {
      at: '2026-01-01T00:00:00Z',
      cpu_percent: 1,
      memory_total_bytes: 1000,
      memory_used_bytes: 1,
    },
  }
}

const list = keys.agentList({})
let queries: QueryClient
const items = () =>
  queries.getQueryData<{ pages: { items: Agent[] }[] }>(list)?.pages[0]?.items ?? []

beforeEach(() => {
  vi.useFakeTimers()
  queries = new QueryClient()
  queries.setQueryData(list, { pages: [{ items: [agent('a'), agent('b')] }], pageParams: [null] })
})

test('a machine that comes online changes its own row and no other', () => {
  const [, b] = items()
  const live = createLive(queries)
  live({ type: 'agent', agent_id: 'a', status: 'online', cpu_percent: 42, memory_percent: 50 })
  vi.advanceTimersByTime(300)
  expect(items()[0]?.status).toBe('online')
  expect(items()[0]?.metrics).toMatchObject({ cpu_percent: 42, memory_used_bytes: 500 })
  expect(items()[1]).toBe(b)
})

test('many events of a machine are one change', () => {
  const changes = vi.fn()
  queries.getQueryCache().subscribe(event => event.type === 'updated' && changes())
  const live = createLive(queries)
  for (let cpu = 0; cpu < 50; cpu += 1) {
    live({ type: 'agent', agent_id: 'a', status: 'online', cpu_percent: cpu })
  }
  vi.advanceTimersByTime(300)
  expect(items()[0]?.metrics?.cpu_percent).toBe(49)
  expect(changes).toHaveBeenCalledTimes(1)
})

test('the first load of a machine is shown, and its sizes are asked for', () => {
  const silent = { ...agent('a'), metrics: null }
  queries.setQueryData(list, { pages: [{ items: [silent] }], pageParams: [null] })
  const asked = vi.spyOn(queries, 'invalidateQueries')
  const told = { cpu_percent: 7, memory_percent: 50, last_seen: '2026-01-01T00:00:00Z' }
  createLive(queries)({ type: 'agent', agent_id: 'a', status: 'online', ...told })
  vi.advanceTimersByTime(5000)
  expect(items()[0]?.metrics?.cpu_percent).toBe(7)
  expect(asked).toHaveBeenCalledWith({ queryKey: ['agents', 'list'] })
})

test('an update that is further has its rollout and its device fetched again', () => {
  const asked = vi.spyOn(queries, 'invalidateQueries')
  const live = createLive(queries)
  live({ type: 'agent_update', agent_id: 'a' })
  live({ type: 'rollout', rollout_id: 'r' })
  vi.advanceTimersByTime(5000)
  const fetched = asked.mock.calls.map(([filter]) => filter?.queryKey)
  expect(fetched).toEqual([keys.updates('a'), keys.agent('a'), keys.rollouts])
  expect(keys.rollout('r').slice(0, 1)).toEqual(keys.rollouts)
})

test('after a gap everything is fetched again', () => {
  const invalidate = vi.spyOn(queries, 'invalidateQueries')
  createLive(queries)({ type: 'resync' })
  expect(invalidate).toHaveBeenCalledWith()
})

test('an event of tomorrow is ignored', () => {
  const live = createLive(queries)
  expect(() => live({ type: 'weather' } as never)).not.toThrow()
})
