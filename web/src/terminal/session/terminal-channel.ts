/**
 * A terminal as this viewer holds it: its stream both ways, its size and who holds it, and its end. Does no I/O: frames
 * come in by methods and go out as return values; what it prints goes to its sink in order, each byte once.
 */

import { createStore } from '~/util/store'
import { encodeFrame, type Frame, ResetCode, toOffset } from '../wire/frame'
import type { TerminalClosed, TerminalOpened, TerminalScreen, TerminalSize } from '../wire/message'
import { Incoming, type Reset } from './incoming'
import { Typed } from './typed'

/** Where what a terminal prints goes. */
export interface TerminalSink {
  /** Prints; `done` is called once the bytes are parsed, which lets more come. */
  write(bytes: Uint8Array, done: () => void): void
  /** Shows a terminal afresh: these bytes draw it on an empty one of that size. */
  screen(bytes: Uint8Array, size: TerminalSize): void
}

/** How a terminal is, for whoever shows it. */
export interface TerminalState {
  program: string
  size: TerminalSize
  /** The viewer that holds its size. */
  holder: number | undefined
  /** Whether frames may go out now. */
  attached: boolean
  ended: TerminalEnd | undefined
}

export type TerminalEnd =
  | { kind: 'closed'; closed: TerminalClosed }
  | { kind: 'cut_off'; reset: Reset }

type Item =
  | { kind: 'bytes'; bytes: Uint8Array; end: number }
  | { kind: 'screen'; bytes: Uint8Array; size: TerminalSize }

export class TerminalChannel {
  readonly id: string
  readonly stream: number
  readonly state
  readonly #incoming: Incoming
  readonly #typed = new Typed()
  readonly #send: (frame: Uint8Array<ArrayBuffer>) => void
  #sink: TerminalSink | undefined
  #waiting: Item[] = []

  constructor(opened: TerminalOpened, send: (frame: Uint8Array<ArrayBuffer>) => void) {
    this.id = opened.channel_id
    this.stream = opened.stream
    this.#incoming = new Incoming(opened.offset)
    this.#send = send
    this.state = createStore<TerminalState>({
      program: opened.program,
      size: opened.size,
      holder: opened.holder,
      attached: false,
      ended: undefined,
    })
  }

  /** The next byte of output, as the server counts. */
  get received(): number {
    return this.#incoming.received
  }

  get hasEnded(): boolean {
    return this.state.get().ended !== undefined
  }

  get typed(): Typed {
    return this.#typed
  }

  /** Prints from now on into `sink`, what came before first. */
  connect(sink: TerminalSink): void {
    this.#sink = sink
    const waiting = this.#waiting
    this.#waiting = []
    for (const item of waiting) this.#print(item)
  }

  /** A connection has this terminal: frames may go out, first what the server has not. */
  attach(opened: TerminalOpened): void {
    if (opened.stream !== this.stream) {
      this.cutOff({ code: ResetCode.gone, reason: 'the terminal has another number now' })
      return
    }
    // What lies between is no longer kept, and a screen stands for it.
    if (opened.offset > this.#incoming.received) this.#incoming.jumpTo(opened.offset)
    const broken = this.#typed.comeBack(opened.input_received)
    if (broken) {
      this.#refuse(broken)
      return
    }
    this.#change({ size: opened.size, holder: opened.holder, attached: true })
    this.#sendWindow(this.#incoming.limit)
    this.#flush()
  }

  /** The connection is gone. */
  detach(): void {
    this.#change({ attached: false })
  }

  /** Types; false where so much waits already that nothing of it is taken. */
  type(bytes: Uint8Array): boolean {
    if (this.hasEnded) return true
    const taken = this.#typed.write(bytes)
    if (taken) this.#flush()
    return taken
  }

  /** Takes a frame of the server's. */
  onFrame(frame: Frame): void {
    if (this.hasEnded && frame.kind !== 'window') return
    switch (frame.kind) {
      case 'data': {
        const taken = this.#incoming.data(toOffset(frame.offset), frame.bytes)
        if (taken.kind === 'broken') this.#refuse(taken.reset)
        else if (taken.kind === 'bytes') this.#print(taken)
        return
      }
      case 'eof': {
        const broken = this.#incoming.eof(toOffset(frame.offset))
        if (broken) this.#refuse(broken)
        return
      }
      case 'window':
        this.#typed.raise(toOffset(frame.limit))
        this.#flush()
        return
      case 'reset':
        // Of a session that ends, the last word is told by `terminal_closed`.
        if (frame.code !== ResetCode.gone) this.cutOff(frame)
    }
  }

  onScreen(screen: TerminalScreen): void {
    this.#incoming.jumpTo(screen.offset)
    const bytes = Uint8Array.from(atob(screen.screen), char => char.charCodeAt(0))
    // An older one that was never shown, and all that was printed before: the newer one draws all.
    this.#waiting = []
    this.#print({ kind: 'screen', bytes, size: screen.size })
    this.#change({ size: screen.size })
  }

  onResized(size: TerminalSize, holder: number | undefined): void {
    this.#change({ size, holder })
  }

  /** It has ended, after its last byte. */
  onClosed(closed: TerminalClosed): void {
    if (this.hasEnded) return
    this.#change({ ended: { kind: 'closed', closed }, attached: false })
  }

  /** Nothing more will come. */
  cutOff(reset: Reset): void {
    if (this.hasEnded) return
    const { code, reason } = reset
    this.#change({ ended: { kind: 'cut_off', reset: { code, reason } }, attached: false })
  }

  /** Cuts it off here and tells the server. */
  #refuse(reset: Reset): void {
    this.#send(encodeFrame({ kind: 'reset', stream: this.stream, ...reset }))
    this.cutOff(reset)
  }

  #print(item: Item): void {
    const sink = this.#sink
    if (!sink) this.#waiting.push(item)
    else if (item.kind === 'screen') sink.screen(item.bytes, item.size)
    else sink.write(item.bytes, () => this.#consumed(item.end))
  }

  #consumed(offset: number): void {
    const limit = this.#incoming.consumed(offset)
    if (limit !== undefined && this.state.get().attached) this.#sendWindow(limit)
  }

  #sendWindow(limit: number): void {
    this.#send(encodeFrame({ kind: 'window', stream: this.stream, limit: BigInt(limit) }))
  }

  #flush(): void {
    if (!this.state.get().attached) return
    for (let piece = this.#typed.take(); piece; piece = this.#typed.take()) {
      const { offset, bytes } = piece
      const frame: Frame = { kind: 'data', stream: this.stream, offset: BigInt(offset), bytes }
      this.#send(encodeFrame(frame))
    }
  }

  #change(change: Partial<TerminalState>): void {
    this.state.set(before => ({ ...before, ...change }))
  }
}
