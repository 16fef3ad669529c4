import { createStore } from './store'

const PLACE = 'gururmm.single-keys'

/**
 * Whether single letters are commands. They can be switched off, for those whose speech input or
 * hands press keys by accident (WCAG 2.1.4).
 */
export const singleKeys = createStore<boolean>(localStorage.getItem(PLACE) !== 'off')

export function switchSingleKeys(on: boolean): void {
  localStorage.setItem(PLACE, on ? 'on' : 'off')
  singleKeys.set(on)
}
