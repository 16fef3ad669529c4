import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type LiveEvent, line, startEvents, wait } from './events'

class FakeSocket {
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: (() => void) | null = null
  closed = false
  close() {
    this.closed = true
  }
  say(event: object | string) {
    this.onmessage?.({ data: typeof event === 'string' ? event : JSON.stringify(event) })
  }
}

let sockets: FakeSocket[] = []
let told: LiveEvent[] = []
let stop = () => {}
const last = () => sockets.at(-1) as FakeSocket

beforeEach(() => {
  vi.useFakeTimers()
  sockets = []
  told = []
  stop = startEvents({
    open: () => {
      const socket = new FakeSocket()
      sockets.push(socket)
      return socket
    },
    tell: event => told.push(event),
    random: () => 1,
  })
})
afterEach(() => stop())

test('it is live once the server has said hello', () => {
  expect(line.get()).toBe('connecting')
  last().say({ type: 'hello' })
  expect(line.get()).toBe('live')
  expect(told).toEqual([])
})

test('after a lost connection everything is asked for again', () => {
  last().say({ type: 'hello' })
  last().onclose?.()
  expect(line.get()).toBe('waiting')
  vi.advanceTimersByTime(1000)
  last().say({ type: 'hello' })
  expect(told).toEqual([{ type: 'resync' }])
})

test('what is no event does no harm', () => {
  last().say('{')
  last().say('null')
  last().say({ type: 7 })
  expect(told).toEqual([])
})

test('waits double up to half a minute', () => {
  expect([0, 1, 2, 9].map(failures => wait(failures, () => 1))).toEqual([1000, 2000, 4000, 30_000])
  expect(wait(0, () => 0)).toBe(500)
})

test('a browser that is online again does not wait', () => {
  last().onclose?.()
  dispatchEvent(new Event('online'))
  expect(sockets).toHaveLength(2)
})

test('nothing is opened after the end', () => {
  stop()
  last().onclose?.()
  vi.advanceTimersByTime(60_000)
  expect(sockets).toHaveLength(1)
  expect(line.get()).toBe('closed')
})
