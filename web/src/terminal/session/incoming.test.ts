import { expect, test } from 'vitest'
import { ResetCode } from '../wire/frame'
import { Incoming } from './incoming'

const W = 1024
const bytes = (length: number, from = 0) =>
  Uint8Array.from({ length }, (_, at) => (from + at) % 251)

/** What came of a list of pieces, however often they came. */
function joined(incoming: Incoming, pieces: [offset: number, length: number][]): number[] {
  return pieces.flatMap(([offset, length]) => {
    const taken = incoming.data(offset, bytes(length, offset))
    if (taken.kind === 'broken') throw new Error(taken.reset.reason)
    return taken.kind === 'bytes' ? [...taken.bytes] : []
  })
}

test('bytes that come twice are taken once, however they are cut', () => {
  const incoming = new Incoming(0, W)
  const got = joined(incoming, [
    [0, 10],
    [0, 10],
    [4, 3],
    [5, 20],
    [0, 30],
    [30, 1],
  ])
  expect(got).toEqual([...bytes(31)])
})

test('any cut and repetition gives the same bytes', () => {
  let seed = 7
  const random = (most: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % most
  }
  for (let round = 0; round < 50; round += 1) {
    const incoming = new Incoming(0, W)
    const pieces: [number, number][] = []
    let at = 0
    while (at < W) {
      const back = random(at + 1)
      const length = Math.min(1 + random(100), W - (at - back))
      pieces.push([at - back, length])
      at = Math.max(at, at - back + length)
    }
    expect(joined(incoming, pieces)).toEqual([...bytes(W)])
  }
})

test('a gap is a fault', () => {
  const incoming = new Incoming(100, W)
  expect(incoming.data(101, bytes(1))).toMatchObject({
    kind: 'broken',
    reset: { code: ResetCode.gap },
  })
})

test.each([0, 1, W - 1, W])('%i bytes fit into a window of 1024', length => {
  expect(new Incoming(0, W).data(0, bytes(length)).kind).not.toBe('broken')
})

test('one byte more than the window is a fault', () => {
  const taken = new Incoming(0, W).data(0, bytes(W + 1))
  expect(taken).toMatchObject({ kind: 'broken', reset: { code: ResetCode.overrun } })
})

test('credit comes back on consumption, when half of the window is used', () => {
  const incoming = new Incoming(0, W)
  incoming.data(0, bytes(W))
  expect(incoming.consumed(W / 2 - 1)).toBeUndefined()
  expect(incoming.consumed(W / 2)).toBe(W + W / 2)
  expect(incoming.consumed(W / 2)).toBeUndefined()
  expect(incoming.limit).toBe(W + W / 2)
})

test('what was not received cannot be consumed', () => {
  const incoming = new Incoming(0, W)
  incoming.data(0, bytes(10))
  incoming.consumed(W * 10)
  expect(incoming.limit).toBe(W)
})

test('an end before all bytes is a gap, and nothing comes after it', () => {
  const incoming = new Incoming(0, W)
  incoming.data(0, bytes(10))
  expect(incoming.eof(11)).toMatchObject({ code: ResetCode.gap })
  expect(incoming.eof(10)).toBeUndefined()
  expect(incoming.eof(10)).toBeUndefined()
  expect(incoming.data(10, bytes(1))).toMatchObject({ reset: { code: ResetCode.protocol } })
  expect(incoming.data(0, bytes(10)).kind).toBe('repeat')
})

test('a screen stands for what is no longer kept', () => {
  const incoming = new Incoming(0, W)
  incoming.data(0, bytes(10))
  incoming.jumpTo(5000)
  expect(incoming.received).toBe(5000)
  expect(incoming.limit).toBe(5000 + W)
  // Parsed late, from before the screen: it takes nothing back.
  expect(incoming.consumed(10)).toBeUndefined()
  expect(incoming.data(5000, bytes(W)).kind).toBe('bytes')
})
