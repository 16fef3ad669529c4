/**
 * A viewer of one session: keeps one connection after the other, each with a ticket of its own, and comes back to the
 * same terminals with no byte lost or doubled until the session is over.
 */

import { createStore } from '~/util/store'
import { ResetCode } from '../wire/frame'
import type { ChannelWord, StreamMessage, TerminalSize, ViewerMessage } from '../wire/message'
import { BackOff } from './back-off'
import { Channels } from './channels'
import { Connection } from './connection'
import { isOver, type LinkState } from './link-state'
import {
  NOTHING_SEEN,
  runningTerminals,
  type SessionView,
  withClosed,
  withOpened,
} from './session-view'
import type { TerminalChannel } from './terminal-channel'
import { whenPresent } from './when-present'

/** What a link needs of the world. */
export interface LinkWorld {
  /** Asks for a ticket; rejects with a refusal that is final, or one after which another try makes sense. */
  ticket(sessionId: string, readOnly: boolean): Promise<string>
  /** Opens the stream; the binary type is `arraybuffer`. */
  open(sessionId: string, query: URLSearchParams): WebSocket
  /** Whether another try makes sense after this. */
  isPassing(error: unknown): boolean
  /** What a refusal that is final means. */
  outcome(error: unknown): LinkState
}

/** How long a terminal that was opened may take to be seen on the stream. */
const SEEN_PATIENCE_MS = 30_000

export class ViewerLink {
  readonly state = createStore<LinkState>({ state: 'connecting' })
  readonly view = createStore(NOTHING_SEEN)
  readonly channels: Channels
  readonly #viewerId = crypto.randomUUID()
  readonly #backOff = new BackOff()
  #connection: Connection | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #dialling = false
  readonly #seen = createStore(0)

  constructor(
    readonly sessionId: string,
    readonly world: LinkWorld,
    readonly readOnly = false,
  ) {
    this.channels = new Channels(frame => this.#connection?.sendFrame(frame))
    window.addEventListener('online', this.#onLine)
    window.addEventListener('offline', this.#onLine)
    void this.#dial()
  }

  /** Lets everything go; the programs run on. */
  close(): void {
    this.#finish({ state: 'closed', reason: 'left' })
  }

  /** Tries to come back at once. */
  retryNow(): void {
    if (this.#connection || isOver(this.state.get())) return
    clearTimeout(this.#retry)
    this.#backOff.reset()
    void this.#dial()
  }

  /** Opens a terminal by `start`, which answers its channel, and waits until it is there. */
  openTerminal(start: () => Promise<string>): Promise<TerminalChannel> {
    return this.channels.expecting(async () => {
      const id = await start()
      this.channels.want(id)
      return await this.#appears(id)
    })
  }

  /** Takes a terminal that runs already; a new connection tells of it, if this one has let it go. */
  async attach(id: string): Promise<TerminalChannel> {
    this.channels.want(id)
    if (!this.channels.get(id)) this.#comeBack('attaching')
    return await this.#appears(id, () => {
      const { channels } = this.view.get()
      const isTold = this.state.get().state === 'connected'
      if (isTold && !channels.some(channel => channel.channel_id === id)) {
        throw new Error('this terminal is no longer there')
      }
    })
  }

  /** Takes the first terminal that runs, or the next one that is opened. */
  anyTerminal(): Promise<TerminalChannel> {
    return this.channels.expecting(async () => {
      const find = () => {
        if (isOver(this.state.get())) throw new Error('the session is over')
        return runningTerminals(this.view.get())[0]?.channel_id
      }
      const id = await whenPresent(find, [this.view, this.state], SEEN_PATIENCE_MS)
      this.channels.want(id)
      return await this.#appears(id)
    })
  }

  say(message: ViewerMessage): void {
    this.#connection?.say(message)
  }

  tell(channelId: string, data: ChannelWord): void {
    this.say({ type: 'tunnel_data', payload: { channel_id: channelId, data } })
  }

  takeSize(channelId: string, size: TerminalSize): void {
    this.say({ type: 'take_size', payload: { channel_id: channelId, size } })
  }

  forgetRefusal(): void {
    this.view.set(before => ({ ...before, refusal: undefined }))
  }

  readonly #onLine = (): void => {
    if (this.#connection) this.#connection.doubt()
    else if (navigator.onLine) this.retryNow()
  }

  #appears(id: string, check?: () => void): Promise<TerminalChannel> {
    const find = () => {
      const channel = this.channels.get(id)
      if (!channel && isOver(this.state.get())) throw new Error('the session is over')
      if (!channel) check?.()
      return channel
    }
    return whenPresent(find, [this.#seen, this.state], SEEN_PATIENCE_MS)
  }

  async #dial(): Promise<void> {
    if (this.#dialling) return
    this.#dialling = true
    try {
      const ticket = await this.world.ticket(this.sessionId, this.readOnly)
      if (isOver(this.state.get())) return
      const who = { ticket, protocol: '2', viewer: this.#viewerId }
      const query = new URLSearchParams([...Object.entries(who), ...this.channels.positions()])
      this.#connection = new Connection(this.world.open(this.sessionId, query), {
        frame: frame => this.channels.ofStream(frame.stream)?.onFrame(frame),
        word: message => this.#onWord(message),
        lost: next => this.#lost(next),
        terminals: () => this.channels.all(),
      })
    } catch (error) {
      if (!this.world.isPassing(error)) this.#finish(this.world.outcome(error))
      else this.#lost({ state: 'reconnecting', why: 'the server cannot be reached' })
    } finally {
      this.#dialling = false
    }
  }

  /** Leaves this connection for a new one at once. */
  #comeBack(why: string): void {
    if (!this.#connection) return
    this.#connection.drop(why)
    this.retryNow()
  }

  /** The connection is gone. */
  #lost(next: LinkState): void {
    this.#connection = undefined
    this.channels.detach()
    if (isOver(this.state.get())) return
    if (isOver(next)) {
      this.#finish(next)
      return
    }
    this.state.set(next)
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#dial(), this.#backOff.next())
  }

  #finish(state: LinkState): void {
    if (isOver(this.state.get())) return
    this.#connection?.leave()
    this.#connection = undefined
    clearTimeout(this.#retry)
    window.removeEventListener('online', this.#onLine)
    window.removeEventListener('offline', this.#onLine)
    this.state.set(state)
    this.channels.end('the session is over')
  }

  #onWord(message: Exclude<StreamMessage, { type: 'pong' }>): void {
    switch (message.type) {
      case 'session': {
        const { viewer, read_only, channels, consent } = message.payload
        this.#backOff.reset()
        this.channels.onSnapshot(message.payload)
        this.#look({
          viewer,
          readOnly: read_only ?? false,
          channels,
          consent: consent ?? undefined,
        })
        this.state.set({ state: 'connected' })
        return
      }
      case 'terminal_opened':
        this.channels.opened(message.payload)
        this.#seen.set(count => count + 1)
        this.#look({ channels: withOpened(this.view.get().channels, message.payload) })
        return
      case 'terminal_screen':
        this.channels.get(message.payload.channel_id)?.onScreen(message.payload)
        return
      case 'terminal_resized': {
        const { channel_id, size, holder } = message.payload
        this.channels.get(channel_id)?.onResized(size, holder)
        return
      }
      case 'terminal_closed':
        this.channels.get(message.payload.channel_id)?.onClosed(message.payload)
        this.#look({ channels: withClosed(this.view.get().channels, message.payload) })
        return
      case 'tunnel_error': {
        const { channel_id, error } = message.payload
        this.channels.get(channel_id)?.cutOff({ code: ResetCode.failed, reason: error })
        return
      }
      case 'viewers':
        this.#look({ viewers: message.payload.viewers })
        return
      case 'suspended':
        this.state.set({ state: 'suspended', graceSeconds: message.payload.grace_seconds })
        return
      case 'resumed':
        this.state.set({ state: 'connected' })
        return
      case 'session_closed':
        this.#finish({ state: 'closed', reason: message.payload.reason })
        return
      case 'error':
        this.#look({ refusal: message.payload.message })
    }
  }

  #look(change: Partial<SessionView>): void {
    this.view.set(before => ({ ...before, ...change }))
  }
}
