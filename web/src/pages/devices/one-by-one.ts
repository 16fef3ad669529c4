import { ApiError } from '~/api/problem'

export interface Refusal {
  id: string
  cause: string
}

/** How many a server may answer with "wait" before the rest is given up. */
const MOST_WAITS = 5
const WAIT_MS = 2000

interface Steps {
  act: (id: string) => Promise<unknown>
  /** Told before each, and once at the end, how many are done. */
  tell: (done: number) => void
  /** Nothing more is begun once it says so. */
  stopped: () => boolean
  wait?: (ms: number) => Promise<void>
}

/** Does one thing to many devices, one after another; answers those that were refused or not reached any more. */
export async function oneByOne(ids: string[], steps: Steps): Promise<Refusal[]> {
  const { act, tell, stopped, wait = pause } = steps
  const refused: Refusal[] = []
  for (const [at, id] of ids.entries()) {
    tell(at)
    if (stopped()) {
      refused.push({ id, cause: 'not begun, as it was stopped' })
      continue
    }
    const cause = await tried(() => act(id), wait)
    if (cause) refused.push({ id, cause })
  }
  tell(ids.length)
  return refused
}

/** Why it was refused; null where it was not. Whoever is told to be slower waits, and asks again. */
async function tried(
  act: () => Promise<unknown>,
  wait: (ms: number) => Promise<void>,
): Promise<string | null> {
  for (let waits = 0; ; waits += 1) {
    try {
      await act()
      return null
    } catch (error) {
      const tooFast = error instanceof ApiError && error.status === 429
      if (!tooFast || waits >= MOST_WAITS)
        return error instanceof Error ? error.message : 'something went wrong'
      await wait(WAIT_MS * 2 ** waits)
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(done => setTimeout(done, ms))
}
