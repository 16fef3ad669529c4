/**
 * The data plane's frames: one binary WebSocket message each, numbers big-endian. The same bytes as
 * `shared/src/frame.rs`, whose golden frames the tests read.
 *
 * | kind (u8) | stream (u32) | body |
 * | --- | --- | --- |
 * | 0 DATA | id | offset u64 · 1 to 65,536 bytes |
 * | 1 WINDOW | id | limit u64: the peer may send bytes with offset < limit |
 * | 2 EOF | id | offset u64: no more bytes after it |
 * | 3 RESET | id | code u16 · UTF-8 reason, at most 1,024 bytes |
 *
 * Offsets are bigints here, as a u64 may be beyond what a number holds exactly; the states of streams count in numbers
 * ({@link toOffset}).
 */

export const HEADER_BYTES = 13
export const MAX_DATA_BYTES = 64 * 1024
export const MAX_FRAME_BYTES = HEADER_BYTES + MAX_DATA_BYTES
export const MAX_REASON_BYTES = 1024

const RESET_HEADER_BYTES = 7
const MAX_U64 = (1n << 64n) - 1n

const KIND = { data: 0, window: 1, eof: 2, reset: 3 } as const

/** Why a stream was cut off; other numbers are a newer peer's. */
export const ResetCode = {
  overrun: 1,
  gap: 2,
  unknownStream: 3,
  protocol: 4,
  cancelled: 5,
  failed: 6,
  gone: 7,
  stalled: 8,
} as const

export type Frame =
  | { kind: 'data'; stream: number; offset: bigint; bytes: Uint8Array }
  | { kind: 'window'; stream: number; limit: bigint }
  | { kind: 'eof'; stream: number; offset: bigint }
  | { kind: 'reset'; stream: number; code: number; reason: string }

export type FrameErrorCode = 'too_short' | 'too_long' | 'unknown_kind' | 'empty' | 'bad_offset'

/** Bytes that are no frame. */
export class FrameError extends Error {
  constructor(
    readonly code: FrameErrorCode,
    message: string,
  ) {
    super(message)
    this.name = 'FrameError'
  }
}

/** Reads a binary message; the bytes of DATA are a view of it and not copied. */
export function decodeFrame(message: ArrayBuffer): Frame {
  const length = message.byteLength
  if (length > MAX_FRAME_BYTES) {
    throw new FrameError('too_long', `a frame of ${length} bytes is too long`)
  }
  if (length < 5) throw tooShort(length)
  const view = new DataView(message)
  const stream = view.getUint32(1)
  switch (view.getUint8(0)) {
    case KIND.data:
      return decodeData(message, view, stream)
    case KIND.window:
      return { kind: 'window', stream, limit: onlyNumber(view) }
    case KIND.eof:
      return { kind: 'eof', stream, offset: onlyNumber(view) }
    case KIND.reset:
      return decodeReset(message, view, stream)
    default:
      throw new FrameError('unknown_kind', `frame kind ${view.getUint8(0)} is not known`)
  }
}

function tooShort(length: number): FrameError {
  return new FrameError('too_short', `a frame of ${length} bytes is too short`)
}

/** The number of a frame that carries nothing else. */
function onlyNumber(view: DataView): bigint {
  if (view.byteLength < HEADER_BYTES) throw tooShort(view.byteLength)
  if (view.byteLength > HEADER_BYTES) {
    throw new FrameError('too_long', `a frame of ${view.byteLength} bytes is too long`)
  }
  return view.getBigUint64(5)
}

function decodeData(message: ArrayBuffer, view: DataView, stream: number): Frame {
  if (view.byteLength < HEADER_BYTES) throw tooShort(view.byteLength)
  if (view.byteLength === HEADER_BYTES) throw new FrameError('empty', 'a data frame without bytes')
  const offset = view.getBigUint64(5)
  const bytes = new Uint8Array(message, HEADER_BYTES)
  if (offset + BigInt(bytes.length) > MAX_U64) {
    throw new FrameError('bad_offset', `offset ${offset} is beyond any stream`)
  }
  return { kind: 'data', stream, offset, bytes }
}

function decodeReset(message: ArrayBuffer, view: DataView, stream: number): Frame {
  if (view.byteLength < RESET_HEADER_BYTES) throw tooShort(view.byteLength)
  if (view.byteLength > RESET_HEADER_BYTES + MAX_REASON_BYTES) {
    throw new FrameError('too_long', `a frame of ${view.byteLength} bytes is too long`)
  }
  // Not fatal: what is no UTF-8 is shown as U+FFFD.
  const reason = new TextDecoder().decode(new Uint8Array(message, RESET_HEADER_BYTES))
  return { kind: 'reset', stream, code: view.getUint16(5), reason }
}

/** Writes a binary message. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  if (frame.kind === 'reset') return encodeReset(frame)
  const body = frame.kind === 'data' ? frame.bytes.length : 0
  const out = new Uint8Array(HEADER_BYTES + body)
  const view = new DataView(out.buffer)
  view.setUint8(0, KIND[frame.kind])
  view.setUint32(1, frame.stream)
  view.setBigUint64(5, frame.kind === 'window' ? frame.limit : frame.offset)
  if (frame.kind === 'data') out.set(frame.bytes, HEADER_BYTES)
  return out
}

function encodeReset(frame: Extract<Frame, { kind: 'reset' }>): Uint8Array<ArrayBuffer> {
  const reason = new Uint8Array(MAX_REASON_BYTES)
  // encodeInto stops before a character that does not fit whole.
  const { written } = new TextEncoder().encodeInto(frame.reason, reason)
  const out = new Uint8Array(RESET_HEADER_BYTES + written)
  const view = new DataView(out.buffer)
  view.setUint8(0, KIND.reset)
  view.setUint32(1, frame.stream)
  view.setUint16(5, frame.code)
  out.set(reason.subarray(0, written), RESET_HEADER_BYTES)
  return out
}

/** An offset as a number; one that no stream of ours reaches is the largest exact number, which fits nowhere. */
export function toOffset(offset: bigint): number {
  return offset > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(offset)
}
