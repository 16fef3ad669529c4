/**
 * One emulated terminal: what a stream prints goes in, what is typed comes out. It lives outside of React, so that
 * moving it to another place on the page keeps all it shows.
 */

import { FitAddon } from '@xterm/addon-fit'
import { SearchAddon } from '@xterm/addon-search'
import { Unicode11Addon } from '@xterm/addon-unicode11'
import { WebLinksAddon } from '@xterm/addon-web-links'
import { WebglAddon } from '@xterm/addon-webgl'
import { Terminal } from '@xterm/xterm'
import { prefer, preferences } from '../preferences'
import type { TerminalSink } from '../session/terminal-channel'
import type { TerminalSize } from '../wire/message'
import { guardAnswers, refuseTricks } from './answers'
import { actionOf, platformOf } from './keys'
import { openLink } from './link-question'
import { contrastOf, themeOf } from './themes'

const SCROLLBACK_LINES = 10_000
const USUAL_FONT_SIZE = 13
const FULL_RESET = '\x1bc'

export interface ScreenEvents {
  input(bytes: Uint8Array): void
  title(title: string): void
  paste(text: string): void
  search(): void
  /** Out of the terminal by keyboard. */
  leave(): void
  /** Whether this screen answers what programs ask. */
  mayAnswer(): boolean
}

const encoder = new TextEncoder()
const platform = platformOf(navigator.userAgent)

export class TerminalScreen implements TerminalSink {
  readonly term: Terminal
  readonly search = new SearchAddon()
  readonly host = document.createElement('div')
  readonly #fit = new FitAddon()
  readonly #events: ScreenEvents
  readonly #stops: (() => void)[] = []
  #webgl: WebglAddon | undefined

  constructor(label: string, events: ScreenEvents) {
    this.#events = events
    const { fontSize, theme, screenReader } = preferences.get()
    this.term = new Terminal({
      allowProposedApi: true,
      cursorBlink: false,
      fontFamily: 'ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize,
      theme: themeOf(theme),
      minimumContrastRatio: contrastOf(theme),
      screenReaderMode: screenReader,
      scrollback: SCROLLBACK_LINES,
      linkHandler: { activate: (_, uri) => openLink(uri) },
    })
    this.host.style.height = '100%'
    this.#paint()
    this.#load()
    this.#listen()
    this.#label(label)
  }

  #load(): void {
    const { term } = this
    term.loadAddon(this.#fit)
    term.loadAddon(this.search)
    term.loadAddon(new Unicode11Addon())
    term.unicode.activeVersion = '11'
    term.loadAddon(new WebLinksAddon((_, uri) => openLink(uri)))
    refuseTricks(term)
    guardAnswers(term, () => this.#events.mayAnswer())
  }

  #listen(): void {
    const { term } = this
    term.onData(text => this.#events.input(encoder.encode(text)))
    term.onBinary(text => this.#events.input(Uint8Array.from(text, char => char.charCodeAt(0))))
    term.onTitleChange(title => this.#events.title(title))
    term.attachCustomKeyEventHandler(event => this.#onKey(event))
    // Before xterm's own listener: what is pasted may have to be looked at first.
    this.host.addEventListener('paste', event => this.#onPaste(event), { capture: true })
    this.#stops.push(preferences.subscribe(() => this.#prefer()))
    const scheme = new MutationObserver(() => this.#prefer())
    scheme.observe(document.documentElement, { attributeFilter: ['data-mantine-color-scheme'] })
    this.#stops.push(() => scheme.disconnect())
  }

  /** Shows it in a place of the page. */
  mount(place: HTMLElement): void {
    place.append(this.host)
    if (!this.term.element) this.term.open(this.host)
    this.#accelerate()
  }

  /** Takes it from the page; it goes on taking output. */
  unmount(): void {
    this.#webgl?.dispose()
    this.#webgl = undefined
    this.host.remove()
  }

  dispose(): void {
    for (const stop of this.#stops) stop()
    this.unmount()
    this.term.dispose()
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.term.write(bytes, done)
  }

  screen(bytes: Uint8Array, size: TerminalSize): void {
    // All in the queue of what is parsed, so that what was printed before does not come after it.
    this.term.write(FULL_RESET, () => this.resize(size))
    this.term.write(bytes)
  }

  resize(size: TerminalSize): void {
    if (size.cols !== this.term.cols || size.rows !== this.term.rows) {
      this.term.resize(size.cols, size.rows)
    }
  }

  /** The size that fills its place; none while it has no place. */
  fitting(): TerminalSize | undefined {
    const size = this.#fit.proposeDimensions()
    if (!size || !Number.isFinite(size.cols) || !Number.isFinite(size.rows)) return undefined
    return { cols: Math.max(size.cols, 2), rows: Math.max(size.rows, 1) }
  }

  /** Pastes as the program asked for it: in brackets, where it knows them. */
  paste(text: string): void {
    this.term.paste(text)
    this.term.focus()
  }

  get takesBracketedPaste(): boolean {
    return this.term.modes.bracketedPasteMode
  }

  copy(): void {
    const text = this.term.getSelection()
    if (!text) return
    this.term.clearSelection()
    void navigator.clipboard?.writeText(text)
  }

  readOnly(on: boolean): void {
    this.term.options.disableStdin = on
  }

  #label(label: string): void {
    this.#stops.push(
      (() => {
        const waiting = this.term.onRender(() => {
          this.term.textarea?.setAttribute('aria-label', `Terminal on ${label}`)
          this.term.textarea?.setAttribute('aria-describedby', 'terminal-way-out')
          waiting.dispose()
        })
        return () => waiting.dispose()
      })(),
    )
  }

  #onKey(event: KeyboardEvent): boolean {
    const action = actionOf(event, { hasSelection: this.term.hasSelection(), platform })
    if (action === 'program') return true
    if (action === 'browser') return false
    event.preventDefault()
    if (event.type === 'keydown') this.#act(action)
    return false
  }

  #act(action: 'copy' | 'search' | 'leave' | 'larger' | 'smaller' | 'usual_size'): void {
    const { fontSize } = preferences.get()
    const acts = {
      copy: () => this.copy(),
      search: () => this.#events.search(),
      leave: () => this.#events.leave(),
      larger: () => prefer({ fontSize: fontSize + 1 }),
      smaller: () => prefer({ fontSize: fontSize - 1 }),
      usual_size: () => prefer({ fontSize: USUAL_FONT_SIZE }),
    }
    acts[action]()
  }

  #onPaste(event: ClipboardEvent): void {
    event.preventDefault()
    event.stopPropagation()
    const text = event.clipboardData?.getData('text/plain')
    if (text) this.#events.paste(text)
  }

  #prefer(): void {
    const { fontSize, theme, screenReader } = preferences.get()
    const { options } = this.term
    options.fontSize = fontSize
    options.theme = themeOf(theme)
    this.#paint()
    options.minimumContrastRatio = contrastOf(theme)
    options.screenReaderMode = screenReader
    this.#accelerate()
  }

  /** What the characters leave free at the edges. */
  #paint(): void {
    this.host.style.background = themeOf(preferences.get().theme).background ?? ''
  }

  /** Draws with the graphics card where there is one; the page's own drawing is as good, only slower. */
  #accelerate(): void {
    const wanted = preferences.get().gpu && this.host.isConnected && this.term.element
    if (!wanted) {
      this.#webgl?.dispose()
      this.#webgl = undefined
      return
    }
    if (this.#webgl) return
    try {
      const webgl = new WebglAddon()
      webgl.onContextLoss(() => {
        webgl.dispose()
        if (this.#webgl === webgl) this.#webgl = undefined
      })
      this.term.loadAddon(webgl)
      this.#webgl = webgl
    } catch {
      this.#webgl = undefined
    }
  }
}
