/**
 * Signs of life of one connection. Browsers do not show a page the pings of the server, so the page asks by itself:
 * regularly, soon after something was typed, and at once when the machine says that its network has changed.
 */

const REGULARLY_MS = 15_000
/** After typing, so long until the server is asked whether it has it. */
const AFTER_TYPING_MS = 200
const PATIENCE_MS = 10_000
/** Once the browser says that it is offline. */
const SHORT_PATIENCE_MS = 1_500

export interface HeartbeatEvents {
  /** Ask for a sign. */
  ask(): void
  /** No sign came: the line is dead. */
  dead(): void
}

type Timer = ReturnType<typeof setTimeout>

export class Heartbeat {
  #asking: Timer | undefined
  #dueAt = 0
  #waiting: Timer | undefined
  readonly #events: HeartbeatEvents

  constructor(events: HeartbeatEvents) {
    this.#events = events
    this.#askIn(REGULARLY_MS)
  }

  /** Something was typed that the server may not have. */
  typed(): void {
    if (!this.#waiting) this.#askIn(AFTER_TYPING_MS)
  }

  /** Asks now, and does not wait for long. */
  doubt(): void {
    this.#ask(SHORT_PATIENCE_MS)
  }

  /** The sign came. */
  alive(): void {
    clearTimeout(this.#waiting)
    this.#waiting = undefined
    this.#askIn(REGULARLY_MS)
  }

  stop(): void {
    clearTimeout(this.#asking)
    clearTimeout(this.#waiting)
  }

  #askIn(wait: number): void {
    const at = Date.now() + wait
    // An earlier question is as good.
    if (this.#asking !== undefined && this.#dueAt <= at) return
    clearTimeout(this.#asking)
    this.#dueAt = at
    this.#asking = setTimeout(() => this.#ask(PATIENCE_MS), wait)
  }

  #ask(patience: number): void {
    clearTimeout(this.#asking)
    this.#asking = undefined
    clearTimeout(this.#waiting)
    this.#waiting = setTimeout(() => this.#events.dead(), patience)
    this.#events.ask()
  }
}
