/** How long to wait between two tries to come back. */

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 5_000

/** Doubles with each try up to a few seconds. Jitter, so that all viewers of a restarted server do not come at once. */
export class BackOff {
  #wait = FIRST_WAIT_MS

  constructor(readonly random: () => number = Math.random) {}

  next(): number {
    const wait = this.#wait * (0.5 + this.random() / 2)
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS)
    return wait
  }

  reset(): void {
    this.#wait = FIRST_WAIT_MS
  }
}
