import { expect, test } from 'vitest'
import { FIRST_WINDOW_BYTES, MOST_WAITING_BYTES, PIECE_BYTES, Typed } from './typed'

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

function typing(text: string, limit = FIRST_WINDOW_BYTES): Typed {
  const typed = new Typed()
  typed.raise(limit)
  typed.write(encode(text))
  return typed
}

function taken(typed: Typed): [number, string][] {
  const pieces: [number, string][] = []
  for (let piece = typed.take(); piece; piece = typed.take()) {
    pieces.push([piece.offset, decode(piece.bytes)])
  }
  return pieces
}

test('nothing goes out before the server has said how much', () => {
  const typed = new Typed()
  typed.write(encode('ls'))
  expect(taken(typed)).toEqual([])
  typed.raise(1)
  expect(taken(typed)).toEqual([[0, 'l']])
  typed.raise(0)
  typed.raise(2)
  expect(taken(typed)).toEqual([[1, 's']])
})

test('keys typed one by one go out as one piece', () => {
  const typed = typing('')
  for (const key of 'uptime') typed.write(encode(key))
  expect(taken(typed)).toEqual([[0, 'uptime']])
})

test('a large paste goes out in pieces', () => {
  const typed = typing('x'.repeat(PIECE_BYTES + 1))
  expect(taken(typed).map(([offset, text]) => [offset, text.length])).toEqual([
    [0, PIECE_BYTES],
    [PIECE_BYTES, 1],
  ])
})

test('what the server did not get is sent again, and nothing else', () => {
  const typed = typing('0123456789')
  taken(typed)
  typed.write(encode('ab'))
  typed.comeBack(4)
  expect(taken(typed)).toEqual([[4, '456789ab']])
  typed.comeBack(12)
  expect(taken(typed)).toEqual([])
})

test('what is typed while the line is lost goes out after it', () => {
  const typed = typing('a')
  taken(typed)
  typed.write(encode('b'))
  typed.write(encode('c'))
  typed.comeBack(1)
  expect(taken(typed)).toEqual([[1, 'bc']])
})

test('a server that has forgotten all gets only what was never sent', () => {
  const typed = typing('0123456789')
  taken(typed)
  typed.confirm(10)
  typed.write(encode('xy'))
  taken(typed)
  typed.write(encode('z'))
  typed.comeBack(0)
  expect(taken(typed)).toEqual([[0, 'z']])
  expect(typed.isUnconfirmed).toBe(true)
  typed.raise(5)
  typed.write(encode('more'))
  expect(taken(typed)).toEqual([[1, 'more']])
})

test('a server that has more than was ever sent is not believed', () => {
  const typed = typing('abc')
  taken(typed)
  expect(typed.comeBack(4)).toBeDefined()
})

test('a sign after the last byte leaves nothing open', () => {
  const typed = typing('abc')
  expect(typed.isUnconfirmed).toBe(false)
  taken(typed)
  expect(typed.isUnconfirmed).toBe(true)
  typed.confirm(typed.fed)
  expect(typed.isUnconfirmed).toBe(false)
  expect(typed.waiting).toBe(0)
})

test('what waits is limited', () => {
  const typed = new Typed()
  expect(typed.write(new Uint8Array(MOST_WAITING_BYTES))).toBe(true)
  expect(typed.write(new Uint8Array(1))).toBe(false)
  typed.raise(PIECE_BYTES)
  typed.take()
  typed.confirm(PIECE_BYTES)
  expect(typed.write(new Uint8Array(1))).toBe(true)
})

test('any loss of connection types the same bytes once', () => {
  let seed = 3
  const random = (most: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % most
  }
  for (let round = 0; round < 200; round += 1) {
    const typed = new Typed()
    typed.raise(1000)
    let sent = ''
    let got = ''
    for (let step = 0; step < 40; step += 1) {
      const text = String.fromCharCode(97 + random(26)).repeat(random(9))
      sent += text
      typed.write(encode(text))
      for (const [offset, piece] of taken(typed)) {
        // Pieces are lost from the first lost one on, as a broken connection loses them.
        if (random(4) === 0) break
        expect(offset).toBe(got.length)
        got += piece
        if (random(3) === 0) typed.confirm(got.length)
      }
      typed.comeBack(got.length)
    }
    for (const [, piece] of taken(typed)) got += piece
    expect(got).toBe(sent)
  }
})
