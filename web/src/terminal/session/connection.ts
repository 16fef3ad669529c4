/** One connection of a viewer, from its handshake to its end. Tells its end once, and nothing after it. */

import { decodeFrame, type Frame, FrameError } from '../wire/frame'
import {
  decodeMessage,
  encodeMessage,
  type StreamMessage,
  type ViewerMessage,
} from '../wire/message'
import { Heartbeat } from './heartbeat'
import { afterClose, type LinkState } from './link-state'
import { Signs } from './signs'
import type { TerminalChannel } from './terminal-channel'

export interface ConnectionEvents {
  frame(frame: Frame): void
  word(message: Exclude<StreamMessage, { type: 'pong' }>): void
  lost(next: LinkState): void
  /** The terminals whose input has to arrive. */
  terminals(): TerminalChannel[]
}

export class Connection {
  readonly #socket: WebSocket
  readonly #events: ConnectionEvents
  readonly #heartbeat: Heartbeat
  readonly #signs = new Signs()
  #over = false

  constructor(socket: WebSocket, events: ConnectionEvents) {
    this.#socket = socket
    this.#events = events
    this.#heartbeat = new Heartbeat({
      ask: () => this.#askSign(),
      dead: () => this.drop('the server does not answer'),
    })
    socket.binaryType = 'arraybuffer'
    socket.onmessage = event => this.#onMessage(event.data)
    socket.onclose = event => this.#end(afterClose(event.code, event.reason))
  }

  say(message: ViewerMessage): void {
    if (this.#isOpen()) this.#socket.send(encodeMessage(message))
  }

  sendFrame(frame: Uint8Array<ArrayBuffer>): void {
    if (!this.#isOpen()) return
    this.#socket.send(frame)
    this.#watchInput()
  }

  /** The network may have changed. */
  doubt(): void {
    this.#heartbeat.doubt()
  }

  /** Ends it without waiting for the other side, which may never answer. */
  drop(why: string): void {
    this.#end({ state: 'reconnecting', why })
  }

  /** Ends it without a word to who listens. */
  leave(): void {
    this.#over = true
    this.#heartbeat.stop()
    this.#signs.forget()
    this.#socket.onmessage = null
    this.#socket.onclose = null
    this.#socket.close()
  }

  #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  #end(next: LinkState): void {
    if (this.#over) return
    this.leave()
    this.#events.lost(next)
  }

  #onMessage(data: string | ArrayBuffer): void {
    if (typeof data !== 'string') {
      this.#onFrame(data)
      return
    }
    const message = decodeMessage(data)
    if (message?.type === 'pong') this.#onSign()
    else if (message) this.#events.word(message)
  }

  #onFrame(data: ArrayBuffer): void {
    let frame: Frame
    try {
      frame = decodeFrame(data)
    } catch (error) {
      // A newer server's frame; made to be left out.
      if (error instanceof FrameError) return
      throw error
    }
    this.#events.frame(frame)
  }

  #askSign(): void {
    this.#signs.asked(this.#events.terminals())
    this.say({ type: 'ping' })
  }

  #onSign(): void {
    this.#signs.answered()
    this.#heartbeat.alive()
    this.#watchInput()
  }

  #watchInput(): void {
    const terminals = this.#events.terminals()
    if (terminals.some(terminal => terminal.typed.isUnconfirmed)) this.#heartbeat.typed()
  }
}
