import { describe, expect, test } from 'vitest'
import {
  MOST_RUNNING,
  type Queue,
  share,
  startable,
  step,
  type TransferEvent,
} from './transfer-queue'

const queueOf = (...events: TransferEvent[]): Queue => events.reduce(step, [] as Queue)
const added = (id: string, size = 100): TransferEvent => ({
  type: 'added',
  id,
  path: `/tmp/${id}`,
  size,
  overwrite: false,
})
const began = (id: string): TransferEvent => ({ type: 'began', id })
const named = (id: string): TransferEvent => ({ type: 'named', id, sha256: 'ab' })
const sent = (id: string, bytes: number): TransferEvent => ({
  type: 'progressed',
  id,
  bytes,
  speed: 10,
})
const running = (id: string) => [added(id), began(id), named(id)]
const one = (queue: Queue) => {
  const [transfer] = queue
  if (!transfer) throw new Error('the queue is empty')
  return transfer
}
const ids = (queue: Queue) => queue.map(transfer => transfer.id)

test('an upload is checked, sent and done', () => {
  const queue = queueOf(...running('a'), sent('a', 60), { type: 'finished', id: 'a' })
  expect(one(queue)).toMatchObject({ state: 'done', sent: 100, speed: undefined, sha256: 'ab' })
})

describe('concurrency', () => {
  const four = queueOf(added('a'), added('b'), added('c'), added('d'))

  test('only so many run, the oldest first', () => {
    expect(ids(startable(four))).toEqual(['a', 'b'])
    expect(startable(four)).toHaveLength(MOST_RUNNING)
    expect(ids(startable(step(four, began('a'))))).toEqual(['b'])
    expect(startable([began('a'), began('b')].reduce(step, four))).toEqual([])
  })

  test('one that is paused, over or waits for another try makes room', () => {
    const two = [began('a'), began('b')].reduce(step, four)
    for (const type of ['paused', 'finished'] as const) {
      expect(ids(startable(step(two, { type, id: 'a' })))).toEqual(['c'])
    }
    expect(ids(startable(step(two, { type: 'broke', id: 'a', error: 1 })))).toEqual(['c'])
  })
})

describe('pause and resume', () => {
  test('what was checked is not checked again', () => {
    const paused = queueOf(...running('a'), sent('a', 40), { type: 'paused', id: 'a' })
    expect(one(paused)).toMatchObject({ state: 'paused', sent: 40, speed: undefined })
    const resumed = step(paused, { type: 'resumed', id: 'a' })
    expect(one(resumed).state).toBe('waiting')
    expect(one(step(resumed, began('a'))).state).toBe('running')
  })

  test('one that waits can be paused, one that is done cannot', () => {
    expect(one(queueOf(added('a'), { type: 'paused', id: 'a' })).state).toBe('paused')
    const done = queueOf(
      ...running('a'),
      { type: 'finished', id: 'a' },
      { type: 'paused', id: 'a' },
    )
    expect(one(done).state).toBe('done')
  })

  test('what comes late of one that was paused changes nothing', () => {
    const paused = queueOf(...running('a'), { type: 'paused', id: 'a' })
    expect(one(step(paused, sent('a', 70))).sent).toBe(0)
    expect(one(step(paused, { type: 'failed', id: 'a', error: 1 })).state).toBe('paused')
    expect(one(step(paused, { type: 'finished', id: 'a' })).state).toBe('paused')
  })
})

describe('retry', () => {
  test('one that broke off is tried again from the beginning of the queue it had', () => {
    const broke = queueOf(...running('a'), { type: 'broke', id: 'a', error: 'line' })
    expect(one(broke)).toMatchObject({ state: 'retrying', error: 'line' })
    const again = step(broke, { type: 'resumed', id: 'a' })
    expect(one(again)).toMatchObject({ state: 'waiting', error: undefined })
  })

  test('one that failed may replace what is there', () => {
    const failed = queueOf(...running('a'), { type: 'failed', id: 'a', error: 'exists' })
    expect(startable(failed)).toEqual([])
    const again = step(failed, { type: 'resumed', id: 'a', overwrite: true })
    expect(one(again)).toMatchObject({ state: 'waiting', overwrite: true })
  })

  test('one that runs is not begun twice', () => {
    const queue = queueOf(...running('a'))
    expect(step(queue, { type: 'resumed', id: 'a' })).toEqual(queue)
    expect(step(queue, began('a'))).toEqual(queue)
  })
})

test('one that was cancelled is gone, whatever comes of it', () => {
  const queue = queueOf(...running('a'), { type: 'removed', id: 'a' }, sent('a', 9))
  expect(queue).toEqual([])
})

test('what is over can be cleared away', () => {
  const queue = queueOf(...running('a'), { type: 'finished', id: 'a' }, added('b'))
  expect(ids(step(queue, { type: 'cleared' }))).toEqual(['b'])
})

test('how much of all is done', () => {
  expect(share([])).toBe(1)
  expect(share(queueOf(added('a'), began('a'), named('a'), sent('a', 50), added('b')))).toBe(0.25)
})
