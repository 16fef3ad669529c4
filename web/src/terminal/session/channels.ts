/**
 * The terminals of one session that this viewer knows, and which of them it takes. A terminal that nobody here shows is
 * let go: unread, it would hold up its program.
 */

import { encodeFrame, ResetCode } from '../wire/frame'
import type { SessionSnapshot, TerminalOpened } from '../wire/message'
import { TerminalChannel } from './terminal-channel'

type Send = (frame: Uint8Array<ArrayBuffer>) => void

export class Channels {
  readonly #byId = new Map<string, TerminalChannel>()
  readonly #byStream = new Map<number, TerminalChannel>()
  readonly #wanted = new Set<string>()
  /** How far commands of the session are, whose output is not wanted. */
  readonly #commands = new Map<string, number>()
  #expecting = 0

  constructor(readonly send: Send) {}

  get(id: string): TerminalChannel | undefined {
    return this.#byId.get(id)
  }

  ofStream(stream: number): TerminalChannel | undefined {
    return this.#byStream.get(stream)
  }

  all(): TerminalChannel[] {
    return [...this.#byId.values()]
  }

  want(id: string): void {
    this.#wanted.add(id)
  }

  /** Shows a terminal no more. */
  letGo(id: string): void {
    this.#wanted.delete(id)
    const channel = this.#byId.get(id)
    if (!channel) return
    this.#forget(channel)
    if (!channel.hasEnded) this.#refuse(channel.stream)
  }

  /** Keeps terminals that nobody wants yet while it is found out whether one of them is wanted. */
  async expecting<T>(task: () => Promise<T>): Promise<T> {
    this.#expecting += 1
    try {
      return await task()
    } finally {
      this.#expecting -= 1
      if (this.#expecting === 0) this.#letGoUnwanted()
    }
  }

  opened(opened: TerminalOpened): TerminalChannel | undefined {
    const id = opened.channel_id
    const wanted = this.#expecting > 0 || this.#wanted.has(id)
    if (!wanted) {
      this.#refuse(opened.stream)
      return undefined
    }
    let channel = this.#byId.get(id)
    if (!channel) {
      channel = new TerminalChannel(opened, this.send)
      this.#byId.set(id, channel)
      this.#byStream.set(channel.stream, channel)
    }
    channel.attach(opened)
    return channel
  }

  /** A connection tells what there is: what the server no longer knows will not come. */
  onSnapshot(snapshot: SessionSnapshot): void {
    const known = new Set(snapshot.channels.map(channel => channel.channel_id))
    for (const channel of this.#byId.values()) {
      if (known.has(channel.id)) continue
      channel.cutOff({ code: ResetCode.gone, reason: 'the server no longer knows this terminal' })
    }
    for (const channel of snapshot.channels) {
      if (channel.feature !== 'terminal') {
        this.#commands.set(channel.channel_id, channel.next_offset)
      }
    }
  }

  detach(): void {
    for (const channel of this.#byId.values()) channel.detach()
  }

  end(reason: string): void {
    for (const channel of this.#byId.values()) channel.cutOff({ code: ResetCode.gone, reason })
  }

  /** Where each channel goes on, as the query of a new connection says it. */
  positions(): [name: string, offset: string][] {
    const terminals = this.all().map(channel => [channel.id, channel.received] as const)
    return [...terminals, ...this.#commands].map(([id, offset]) => [`from.${id}`, String(offset)])
  }

  #letGoUnwanted(): void {
    for (const channel of this.all()) {
      if (!this.#wanted.has(channel.id)) this.letGo(channel.id)
    }
  }

  #forget(channel: TerminalChannel): void {
    this.#byId.delete(channel.id)
    this.#byStream.delete(channel.stream)
  }

  #refuse(stream: number): void {
    const code = ResetCode.cancelled
    this.send(encodeFrame({ kind: 'reset', stream, code, reason: 'not watched' }))
  }
}
