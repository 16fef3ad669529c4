/**
 * One terminal of the dock at work: joins its place in the dock, its session's link, its stream and its screen.
 *
 * ```text
 *   opening ──▶ open ──▶ ended        failed (to open)
 *      ▲          └── reattach ──┐       │
 *      └──────────── again ◀─────┴───────┘
 * ```
 */

import { failed, told } from '~/ui/toast'
import { createStore } from '~/util/store'
import { TerminalScreen } from '../screen/terminal-screen'
import { titleOf } from '../screen/title'
import { type Lease, leaseAgent, leaseSession, linkOf } from '../session/session-hub'
import type { TerminalChannel, TerminalState } from '../session/terminal-channel'
import type { ViewerLink } from '../session/viewer-link'
import { learn } from '../tabs/dock-store'
import type { TabInfo } from '../tabs/layout'
import type { TerminalSize } from '../wire/message'
import { channelFor } from './channel-for'

export type TabPhase = 'opening' | 'open' | 'ended' | 'failed'

export interface TabState {
  phase: TabPhase
  error: unknown
  /** As a program set it, made harmless. */
  title: string
  searching: boolean
  /** Text that is to be looked at before it is pasted. */
  pasting: string | undefined
  link: ViewerLink | undefined
  channel: TerminalChannel | undefined
}

export interface TabEvents {
  /** Out of the terminal by keyboard. */
  leave(): void
}

/** Keys that are kept for a shell that is not there yet. */
const MOST_AHEAD = 4096

export class TerminalTab {
  readonly state = createStore<TabState>({
    phase: 'opening',
    error: undefined,
    title: '',
    searching: false,
    pasting: undefined,
    link: undefined,
    channel: undefined,
  })
  readonly screen: TerminalScreen
  #info: TabInfo
  #lease: Lease | undefined
  #size: TerminalSize | undefined
  #told: TerminalSize | undefined
  #stops: (() => void)[] = []
  #ahead: Uint8Array[] = []
  #started = false
  #disposed = false

  constructor(info: TabInfo, events: TabEvents) {
    this.#info = info
    this.screen = new TerminalScreen(titleOf(info.agentName), {
      input: bytes => this.#type(bytes),
      title: title => this.#change({ title: titleOf(title) }),
      paste: text => this.#change({ pasting: text }),
      search: () => this.search(true),
      leave: events.leave,
      mayAnswer: () => this.holdsSize,
    })
    this.screen.readOnly(info.readOnly ?? false)
  }

  /** Opens it, once. */
  start(): void {
    if (this.#started) return
    this.#started = true
    void this.#open()
  }

  /** A new shell in place of one that has ended, or another try. */
  again(): void {
    this.#leave(true)
    this.#info = { ...this.#info, channelId: undefined }
    if (!this.#info.readOnly) this.#info.sessionId = undefined
    learn(this.#info.key, { channelId: undefined, sessionId: this.#info.sessionId })
    this.#ahead = []
    this.screen.term.reset()
    this.screen.readOnly(this.#info.readOnly ?? false)
    this.screen.term.focus()
    void this.#open()
  }

  /** The same terminal once more, where only this view of it was cut off: its program runs on. */
  reattach(): void {
    this.#leave(false)
    this.screen.term.reset()
    void this.#open()
  }

  /** Whether this viewer holds the terminal's size; nobody does where the last one left. */
  get holdsSize(): boolean {
    const { channel, link } = this.state.get()
    const holder = channel?.state.get().holder
    if (this.#info.readOnly) return false
    return holder === undefined || holder === link?.view.get().viewer
  }

  /** The place has room for another size. */
  fit(): void {
    const size = this.screen.fitting()
    if (!size) return
    this.#size = size
    this.#settleSize()
  }

  takeSize(): void {
    const { link, channel } = this.state.get()
    if (link && channel && this.#size) link.takeSize(channel.id, this.#size)
  }

  search(on: boolean): void {
    this.#change({ searching: on })
    if (on) return
    this.screen.search.clearDecorations()
    this.screen.term.focus()
  }

  paste(text: string | undefined): void {
    this.#change({ pasting: undefined })
    if (text) this.screen.paste(text)
    else this.screen.term.focus()
  }

  /** Ends the program. */
  end(): void {
    const { link, channel } = this.state.get()
    if (!link || !channel || channel.hasEnded || this.#info.readOnly) return
    link.tell(channel.id, { type: 'close' })
  }

  /** Leaves it; `end` says that nothing of it runs on. */
  dispose(end: boolean): void {
    this.#disposed = true
    this.#leave(end)
    this.screen.dispose()
  }

  async #open(): Promise<void> {
    this.#change({ phase: 'opening', error: undefined })
    try {
      const lease = this.#info.sessionId
        ? leaseSession(this.#info.sessionId, this.#info.readOnly)
        : await leaseAgent(this.#info.agentId)
      this.#lease = lease
      if (this.#disposed) {
        lease.release(true)
        return
      }
      const link = linkOf(lease.sessionId, this.#info.readOnly)
      this.#change({ link })
      const channel = await channelFor(this.#info, link, this.#size)
      if (!this.#disposed) this.#show(link, channel)
    } catch (error) {
      this.#leave(true)
      this.#change({ phase: 'failed', error })
    }
  }

  #show(link: ViewerLink, channel: TerminalChannel): void {
    const known = { sessionId: link.sessionId, channelId: channel.id }
    this.#info = { ...this.#info, ...known }
    learn(this.#info.key, known)
    channel.connect(this.screen)
    this.#change({ phase: 'open', channel })
    let before: TerminalState | undefined
    const follow = () => {
      const now = channel.state.get()
      // A new connection is a new viewer to the server: it is told the size again.
      if (now.attached && !before?.attached) this.#told = undefined
      before = now
      this.#settleSize()
      if (now.ended && this.state.get().phase === 'open') {
        this.screen.readOnly(true)
        this.#change({ phase: 'ended' })
      }
    }
    this.#stops.push(channel.state.subscribe(follow), link.view.subscribe(follow))
    for (const bytes of this.#ahead.splice(0)) channel.type(bytes)
    this.screen.readOnly(this.#info.readOnly ?? false)
    follow()
  }

  #leave(end: boolean): void {
    for (const stop of this.#stops) stop()
    this.#stops = []
    const { link, channel } = this.state.get()
    if (link && channel) {
      if (end) this.end()
      link.channels.letGo(channel.id)
    }
    this.#lease?.release(end)
    this.#lease = undefined
    this.#told = undefined
    this.#change({ link: undefined, channel: undefined })
  }

  #type(bytes: Uint8Array): void {
    const { channel, phase } = this.state.get()
    if (this.#info.readOnly) return
    if (!channel) {
      // Typed ahead of the shell: it gets it when it is there.
      if (phase === 'opening' && this.#ahead.length < MOST_AHEAD) this.#ahead.push(bytes)
      return
    }
    if (!channel.type(bytes)) {
      const full = new Error('the program has not taken what was typed before; wait a moment')
      failed(full, 'Not typed')
    }
  }

  /** Who holds the size tells it; the others show the terminal as it is. */
  #settleSize(): void {
    const { channel, link } = this.state.get()
    const mine = this.#size
    if (!channel || !link) {
      if (mine) this.screen.resize(mine)
      return
    }
    const { size, attached, ended } = channel.state.get()
    if (!this.holdsSize || ended) {
      if (!ended) this.screen.resize(size)
      return
    }
    if (!mine) return
    this.screen.resize(mine)
    const isTold = this.#told?.cols === mine.cols && this.#told?.rows === mine.rows
    if (!attached || isTold) return
    this.#told = mine
    link.tell(channel.id, { type: 'resize', payload: mine })
  }

  #change(change: Partial<TabState>): void {
    this.state.set(before => ({ ...before, ...change }))
  }

  /** Lets it run on without anybody watching. */
  static detached(): void {
    told('Detached. It runs on until its session has been idle for a while.')
  }
}
