/** How fast something goes, smoothed so that the figure can be read. */

const SMOOTHING = 0.3
const SHORTEST_MS = 250

export class Speed {
  #at: number
  #bytes: number
  #speed: number | undefined

  constructor(bytes: number, now = Date.now()) {
    this.#at = now
    this.#bytes = bytes
  }

  /** Bytes a second; none before a while has gone by. */
  take(bytes: number, now = Date.now()): number | undefined {
    const elapsed = now - this.#at
    if (elapsed < SHORTEST_MS) return this.#speed
    const latest = ((bytes - this.#bytes) * 1000) / elapsed
    const before = this.#speed ?? latest
    this.#speed = Math.max(0, before + (latest - before) * SMOOTHING)
    this.#at = now
    this.#bytes = bytes
    return this.#speed
  }
}
