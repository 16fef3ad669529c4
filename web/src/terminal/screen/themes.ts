import type { ITheme } from '@xterm/xterm'
import type { ThemeName } from '../preferences'

const DARK: ITheme = {
  background: '#111316',
  foreground: '#d7dade',
  cursor: '#d7dade',
  cursorAccent: '#111316',
  selectionBackground: '#3a4a63',
  black: '#22262b',
  red: '#f07178',
  green: '#7fd88f',
  yellow: '#e5c07b',
  blue: '#77a5f0',
  magenta: '#c792ea',
  cyan: '#6fcfd6',
  white: '#d7dade',
  brightBlack: '#7d8590',
  brightRed: '#ff9aa0',
  brightGreen: '#a5e8b1',
  brightYellow: '#f2d79b',
  brightBlue: '#a6c4f5',
  brightMagenta: '#dcb6f5',
  brightCyan: '#9be3e8',
  brightWhite: '#ffffff',
}

const LIGHT: ITheme = {
  background: '#ffffff',
  foreground: '#1d2126',
  cursor: '#1d2126',
  cursorAccent: '#ffffff',
  selectionBackground: '#bcd3f7',
  black: '#1d2126',
  red: '#b3261e',
  green: '#1a7f37',
  yellow: '#8f5a00',
  blue: '#1f5bbd',
  magenta: '#8250a8',
  cyan: '#0b6e77',
  white: '#6b7178',
  brightBlack: '#5a6069',
  brightRed: '#c73b33',
  brightGreen: '#24913f',
  brightYellow: '#9a6700',
  brightBlue: '#2a6ad4',
  brightMagenta: '#9a63c2',
  brightCyan: '#118792',
  brightWhite: '#3d434a',
}

const SOLARIZED: ITheme = {
  background: '#002b36',
  foreground: '#93a1a1',
  cursor: '#93a1a1',
  cursorAccent: '#002b36',
  selectionBackground: '#0d4a5a',
  black: '#073642',
  red: '#dc322f',
  green: '#859900',
  yellow: '#b58900',
  blue: '#268bd2',
  magenta: '#d33682',
  cyan: '#2aa198',
  white: '#eee8d5',
  brightBlack: '#586e75',
  brightRed: '#cb4b16',
  brightGreen: '#859900',
  brightYellow: '#b58900',
  brightBlue: '#839496',
  brightMagenta: '#6c71c4',
  brightCyan: '#93a1a1',
  brightWhite: '#fdf6e3',
}

const CONTRAST: ITheme = {
  ...DARK,
  background: '#000000',
  foreground: '#ffffff',
  cursor: '#ffff00',
  cursorAccent: '#000000',
  selectionBackground: '#0050c8',
}

/** Whether the page is dark now, as its colour scheme says. */
export function isPageDark(): boolean {
  return document.documentElement.getAttribute('data-mantine-color-scheme') !== 'light'
}

export function themeOf(name: ThemeName): ITheme {
  switch (name) {
    case 'auto':
      return isPageDark() ? DARK : LIGHT
    case 'dark':
      return DARK
    case 'light':
      return LIGHT
    case 'solarized':
      return SOLARIZED
    case 'contrast':
      return CONTRAST
  }
}

/** Text that a program prints stays readable, whatever colours it chooses (WCAG 1.4.3; 1.4.6 for contrast). */
export function contrastOf(name: ThemeName): number {
  return name === 'contrast' ? 7 : 4.5
}
