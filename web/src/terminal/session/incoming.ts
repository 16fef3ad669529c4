/**
 * The receiving half of a terminal's stream: which bytes came, and how many more may come.
 *
 * ```text
 *   DATA ──data──▶ new bytes ──▶ the terminal parses them ──consumed──▶ WINDOW to the server
 * ```
 *
 * Offsets are the server's. Credit is granted when bytes are consumed, never when they are received: a terminal that is
 * slower than its program slows the program, and nothing piles up in between.
 */

import { ResetCode } from '../wire/frame'

/** Bytes that may be on the way or wait to be parsed. */
export const WINDOW_BYTES = 256 * 1024

/** Why a stream is cut off. */
export interface Reset {
  code: number
  reason: string
}

export type Taken =
  | { kind: 'bytes'; bytes: Uint8Array; end: number }
  | { kind: 'repeat' }
  | { kind: 'broken'; reset: Reset }

const broken = (code: number, reason: string): Taken => ({
  kind: 'broken',
  reset: { code, reason },
})

export class Incoming {
  #received: number
  #consumed: number
  #limit: number
  #end: number | undefined

  constructor(
    offset: number,
    readonly window = WINDOW_BYTES,
  ) {
    this.#received = offset
    this.#consumed = offset
    this.#limit = offset + window
  }

  /** The next byte that is wanted. */
  get received(): number {
    return this.#received
  }

  /** Bytes below this offset may come. */
  get limit(): number {
    return this.#limit
  }

  get hasEnded(): boolean {
    return this.#end !== undefined
  }

  /** Goes on at `offset`: what lies between is no longer kept, and a screen stands for it. */
  jumpTo(offset: number): void {
    this.#received = offset
    this.#consumed = offset
    this.#limit = offset + this.window
  }

  /** Takes DATA; after a new connection bytes may come again, and cut otherwise than at first. */
  data(offset: number, bytes: Uint8Array): Taken {
    const end = offset + bytes.length
    if (end <= this.#received) return { kind: 'repeat' }
    if (this.#end !== undefined) return broken(ResetCode.protocol, 'bytes after the end')
    if (offset > this.#received) {
      return broken(
        ResetCode.gap,
        `output at offset ${offset} where ${this.#received} was expected`,
      )
    }
    if (end > this.#limit) {
      return broken(
        ResetCode.overrun,
        `output up to offset ${end} where ${this.#limit} was granted`,
      )
    }
    const fresh = bytes.subarray(this.#received - offset)
    this.#received = end
    return { kind: 'bytes', bytes: fresh, end }
  }

  /** Takes EOF; one that comes twice is the same end. */
  eof(offset: number): Reset | undefined {
    if (offset !== this.#received) {
      const reason = `the end at ${offset} after ${this.#received} bytes`
      return { code: ResetCode.gap, reason }
    }
    this.#end = offset
    return undefined
  }

  /** Notes that all before `offset` was parsed; answers a new limit once half of the window is used up. */
  consumed(offset: number): number | undefined {
    this.#consumed = Math.max(this.#consumed, Math.min(offset, this.#received))
    const target = this.#consumed + this.window
    if (this.#end !== undefined || target - this.#limit < this.window / 2) return undefined
    this.#limit = target
    return target
  }
}
