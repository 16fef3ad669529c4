/** How terminals look on this machine. Kept in local storage: likings only, nothing about who or where. */

import { createStore } from '~/util/store'

export const THEME_NAMES = ['auto', 'dark', 'light', 'solarized', 'contrast'] as const
export type ThemeName = (typeof THEME_NAMES)[number]

export interface TerminalPreferences {
  fontSize: number
  theme: ThemeName
  screenReader: boolean
  /** Draw with the graphics card where it can. */
  gpu: boolean
  /** Ask before lines are pasted. */
  askBeforePaste: boolean
  /** In pixels. */
  dockHeight: number
}

const PLACE = 'gururmm.terminal'
const SMALLEST_FONT = 8
const LARGEST_FONT = 32
export const LOWEST_DOCK = 120
const HIGHEST_DOCK = 4000

const DEFAULTS: TerminalPreferences = {
  fontSize: 13,
  theme: 'auto',
  screenReader: false,
  gpu: true,
  askBeforePaste: true,
  dockHeight: 340,
}

export const preferences = createStore<TerminalPreferences>(recall())

export function prefer(change: Partial<TerminalPreferences>): void {
  preferences.set(before => checked({ ...before, ...change }))
  try {
    localStorage.setItem(PLACE, JSON.stringify(preferences.get()))
  } catch {
    // Storage may be full or forbidden; the page goes on with what was chosen.
  }
}

/** Reads what was kept; whatever does not fit is as it was made. */
export function recall(): TerminalPreferences {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(PLACE) ?? '{}')
    return checked({ ...DEFAULTS, ...(typeof kept === 'object' ? kept : {}) })
  } catch {
    return DEFAULTS
  }
}

function checked(wanted: TerminalPreferences): TerminalPreferences {
  const within = (value: number, least: number, most: number, usual: number) =>
    Number.isFinite(value) ? Math.min(Math.max(Math.round(value), least), most) : usual
  const { fontSize, dockHeight } = wanted
  return {
    fontSize: within(fontSize, SMALLEST_FONT, LARGEST_FONT, DEFAULTS.fontSize),
    dockHeight: within(dockHeight, LOWEST_DOCK, HIGHEST_DOCK, DEFAULTS.dockHeight),
    theme: THEME_NAMES.includes(wanted.theme) ? wanted.theme : DEFAULTS.theme,
    screenReader: wanted.screenReader === true,
    gpu: wanted.gpu !== false,
    askBeforePaste: wanted.askBeforePaste !== false,
  }
}
