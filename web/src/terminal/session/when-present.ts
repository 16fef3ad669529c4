import type { Store } from '~/util/store'

/**
 * Waits until `find` finds something; it is asked again whenever one of the stores changes, and may throw where there is
 * nothing to wait for any more.
 */
export function whenPresent<T>(
  find: () => T | undefined,
  stores: Pick<Store<unknown>, 'subscribe'>[],
  patienceMs: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stops: (() => void)[] = []
    const settle = (how: () => void) => {
      for (const stop of stops) stop()
      how()
    }
    const look = () => {
      try {
        const found = find()
        if (found !== undefined) settle(() => resolve(found))
      } catch (error) {
        settle(() => reject(error))
      }
    }
    const late = () => settle(() => reject(new Error('the terminal does not show up')))
    const timer = setTimeout(late, patienceMs)
    stops.push(() => clearTimeout(timer), ...stores.map(store => store.subscribe(look)))
    look()
  })
}
