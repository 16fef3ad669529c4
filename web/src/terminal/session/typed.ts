/**
 * The sending half of a terminal's stream: what was typed, kept until the server surely has it, and sent again after a
 * reconnect without a byte being typed twice.
 *
 * ```text
 *   write ──▶ [confirmed … given to this connection … end]
 *             └ kept ────┘ next ▲ up to limit
 * ```
 *
 * A server that was restarted counts from 0 again. What it surely had before must not be typed a second time, so the
 * viewer asks for a sign (`ping`, `pong`) after what it typed. What was on its way without one is not sent again either:
 * nobody can say whether it arrived.
 */

import { ResetCode } from '../wire/frame'
import type { Reset } from './incoming'

/** Bytes that a server takes at first. */
export const FIRST_WINDOW_BYTES = 64 * 1024

/** Bytes of one frame, so that no channel holds up another. */
export const PIECE_BYTES = 32 * 1024

/** Bytes that may wait for a line that is lost, or for a program that reads nothing. */
export const MOST_WAITING_BYTES = 4 * 1024 * 1024

export interface InputPiece {
  /** As the server counts. */
  offset: number
  bytes: Uint8Array
}

export class Typed {
  /** What the server counts as 0; all other offsets count from this viewer's first byte. */
  #base = 0
  /** The next byte for this connection. */
  #next = 0
  /** Given to any connection so far. */
  #fed = 0
  /** Surely with the server. */
  #confirmed = 0
  #limit = 0
  #kept: Uint8Array[] = []
  #firstKept = 0
  #end = 0

  /** Bytes that were typed and are not surely with the server. */
  get waiting(): number {
    return this.#end - this.#confirmed
  }

  /** Given to connections so far. */
  get fed(): number {
    return this.#fed
  }

  /** Whether something is on its way that the server may not have. */
  get isUnconfirmed(): boolean {
    return this.#confirmed < this.#fed
  }

  /** Types; false if that is more than may wait, and then nothing of it is typed. */
  write(bytes: Uint8Array): boolean {
    if (this.waiting + bytes.length > MOST_WAITING_BYTES) return false
    if (bytes.length > 0) {
      this.#kept.push(bytes)
      this.#end += bytes.length
    }
    return true
  }

  /** The next piece that may go out. */
  take(): InputPiece | undefined {
    const room = Math.min(this.#limit, this.#end, this.#next + PIECE_BYTES) - this.#next
    if (room <= 0) return undefined
    const bytes = this.#slice(this.#next, this.#next + room)
    const offset = this.#next - this.#base
    this.#next += room
    this.#fed = Math.max(this.#fed, this.#next)
    return { offset, bytes }
  }

  /** The server takes bytes below `limit`, as it counts. */
  raise(limit: number): void {
    this.#limit = Math.max(this.#limit, this.#base + limit)
  }

  /** The server has what is before `offset`, as {@link fed} told it. */
  confirm(offset: number): void {
    this.#confirmed = Math.max(this.#confirmed, Math.min(offset, this.#fed))
    this.#forget()
  }

  /** A connection to a server that has `received` bytes of this viewer: what it has not is given again. */
  comeBack(received: number): Reset | undefined {
    const has = this.#base + received
    if (has < this.#confirmed) return this.#beginAnew()
    if (has > this.#fed) {
      const reason = `the server has ${has} bytes of input where ${this.#fed} were sent`
      return { code: ResetCode.gap, reason }
    }
    this.#next = has
    this.confirm(has)
    return undefined
  }

  /** The server has forgotten this viewer: only what was never sent goes out. */
  #beginAnew(): undefined {
    this.#base = this.#fed
    this.#next = this.#fed
    this.#limit = this.#base + FIRST_WINDOW_BYTES
    this.confirm(this.#fed)
  }

  #slice(from: number, to: number): Uint8Array {
    const out = new Uint8Array(to - from)
    let offset = this.#firstKept
    for (const piece of this.#kept) {
      const end = offset + piece.length
      if (end > from && offset < to) {
        const part = piece.subarray(Math.max(0, from - offset), Math.min(piece.length, to - offset))
        out.set(part, Math.max(offset, from) - from)
      }
      offset = end
      if (offset >= to) break
    }
    return out
  }

  #forget(): void {
    let first = this.#kept[0]
    while (first && this.#firstKept + first.length <= this.#confirmed) {
      this.#firstKept += first.length
      this.#kept.shift()
      first = this.#kept[0]
    }
  }
}
