import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  FrameError,
  HEADER_BYTES,
  MAX_DATA_BYTES,
  MAX_FRAME_BYTES,
  MAX_REASON_BYTES,
  toOffset,
} from './frame'

const RUST_TESTS = join(import.meta.dirname, '../../../../shared/tests/frames.rs')

/** The golden frames as the Rust tests hold them: this codec is held to the same bytes. */
function goldenBytes(): Uint8Array<ArrayBuffer>[] {
  const source = readFileSync(RUST_TESTS, 'utf8')
  const table = source.slice(source.indexOf('let golden'), source.indexOf('for (frame, bytes)'))
  return [...table.matchAll(/^\s+b"((?:[^"\\]|\\.)*)",$/gm)].map(match => rustBytes(match[1] ?? ''))
}

/** The bytes of a Rust byte string literal. */
function rustBytes(literal: string): Uint8Array<ArrayBuffer> {
  const tokens = literal.match(/\\x[0-9a-f]{2}|\\.|[^\\]/g) ?? []
  const named: Record<string, number> = { '\\0': 0, '\\n': 10, '\\r': 13, '\\t': 9 }
  const byte = (token: string) =>
    token.startsWith('\\x')
      ? Number.parseInt(token.slice(2), 16)
      : (named[token] ?? token.charCodeAt(0))
  return Uint8Array.from(tokens, byte)
}

const bytes = (text: string) => new TextEncoder().encode(text)

const GOLDEN: Frame[] = [
  { kind: 'data', stream: 0x01020304, offset: 0x1122334455667788n, bytes: bytes('ls\r') },
  { kind: 'window', stream: 0x01020304, limit: 262_144n },
  { kind: 'eof', stream: 0x01020304, offset: 3n },
  { kind: 'reset', stream: 0x01020304, code: 8, reason: 'zu träge' },
]

describe('golden frames', () => {
  const golden = goldenBytes()

  test('there is one of each kind', () => {
    expect(golden).toHaveLength(GOLDEN.length)
  })

  test.each(GOLDEN.map((frame, at) => ({ frame, at })))(
    '$frame.kind looks as it does in Rust',
    ({ frame, at }) => {
      const encoded = golden[at]
      if (!encoded) throw new Error('no such golden frame')
      expect(encodeFrame(frame)).toEqual(encoded)
      expect(decodeFrame(encoded.buffer)).toEqual(frame)
    },
  )
})

function refusal(frame: Uint8Array<ArrayBuffer>): string {
  try {
    decodeFrame(frame.buffer)
  } catch (error) {
    if (error instanceof FrameError) return error.code
    throw error
  }
  return 'taken'
}

describe('the limits of a frame are exact', () => {
  const frame = (kind: number, length: number) => {
    const out = new Uint8Array(length)
    out[0] = kind
    return out
  }

  test.each([
    [0, 4, 'too_short'],
    [0, HEADER_BYTES - 1, 'too_short'],
    [0, HEADER_BYTES, 'empty'],
    [0, HEADER_BYTES + 1, 'taken'],
    [0, MAX_FRAME_BYTES, 'taken'],
    [0, MAX_FRAME_BYTES + 1, 'too_long'],
    [1, HEADER_BYTES - 1, 'too_short'],
    [1, HEADER_BYTES, 'taken'],
    [1, HEADER_BYTES + 1, 'too_long'],
    [2, HEADER_BYTES, 'taken'],
    [2, HEADER_BYTES + 1, 'too_long'],
    [3, 6, 'too_short'],
    [3, 7, 'taken'],
    [3, 7 + MAX_REASON_BYTES, 'taken'],
    [3, 8 + MAX_REASON_BYTES, 'too_long'],
    [4, HEADER_BYTES, 'unknown_kind'],
  ])('kind %i of %i bytes: %s', (kind, length, outcome) => {
    expect(refusal(frame(kind, length))).toBe(outcome)
  })

  test('an offset that leaves no room for its bytes is refused', () => {
    const frame = encodeFrame({
      kind: 'data',
      stream: 1,
      offset: (1n << 64n) - 2n,
      bytes: bytes('abc'),
    })
    expect(refusal(frame)).toBe('bad_offset')
  })
})

test('bytes of DATA are not copied', () => {
  const encoded = encodeFrame({
    kind: 'data',
    stream: 1,
    offset: 0n,
    bytes: new Uint8Array(MAX_DATA_BYTES),
  })
  const decoded = decodeFrame(encoded.buffer)
  expect(decoded.kind === 'data' && decoded.bytes.buffer).toBe(encoded.buffer)
})

test('a long reason is cut at a whole character', () => {
  const encoded = encodeFrame({ kind: 'reset', stream: 1, code: 6, reason: `${'ä'.repeat(600)}x` })
  const decoded = decodeFrame(encoded.buffer)
  expect(decoded.kind === 'reset' && decoded.reason).toBe('ä'.repeat(512))
  const odd = encodeFrame({ kind: 'reset', stream: 1, code: 6, reason: `x${'ä'.repeat(600)}` })
  expect(odd).toHaveLength(7 + MAX_REASON_BYTES - 1)
})

test('offsets beyond exact numbers are the largest exact one', () => {
  expect(toOffset(7n)).toBe(7)
  expect(toOffset(0x1122334455667788n)).toBe(Number.MAX_SAFE_INTEGER)
})
