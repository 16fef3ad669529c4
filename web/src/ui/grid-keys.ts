import { useCallback, useEffect, useState } from 'react'
import { singleKeys } from '~/util/single-keys'

interface GridKeys {
  keys: string[]
  scroller: React.RefObject<HTMLDivElement | null>
  open: (index: number) => void
  toggle?: (key: string) => void
  scrollTo: (index: number) => void
}

/**
 * Which row has the keyboard. It is known by its key, so it stays the same row whatever comes or goes
 * around it. `j` and `k` work wherever no text is being typed; the arrows within the grid.
 */
export function useGridKeys({ keys, scroller, open, toggle, scrollTo }: GridKeys) {
  const [key, setKey] = useState<string | null>(null)
  const index = key === null ? -1 : keys.indexOf(key)

  const go = (to: number) => {
    const bounded = Math.max(0, Math.min(keys.length - 1, to))
    const next = keys[bounded]
    if (next === undefined) return
    setKey(next)
    scrollTo(bounded)
    // The row may have to be drawn first.
    requestAnimationFrame(() => rowElement(scroller.current, next)?.focus({ preventScroll: true }))
  }

  const act = (pressed: string): boolean => {
    switch (pressed) {
      case 'j':
      case 'ArrowDown':
        go(index + 1)
        return true
      case 'k':
      case 'ArrowUp':
        go(index < 0 ? 0 : index - 1)
        return true
      case 'Home':
        go(0)
        return true
      case 'End':
        go(keys.length - 1)
        return true
      case 'PageDown':
        go(index + 15)
        return true
      case 'PageUp':
        go(index - 15)
        return true
      case 'x':
      case ' ':
        if (!toggle || key === null || index < 0) return false
        toggle(key)
        return true
      case 'Enter':
        if (index < 0) return false
        open(index)
        return true
      default:
        return false
    }
  }

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const onRow = (event.target as HTMLElement).getAttribute('role') === 'row'
    if (!onRow) return
    if (event.key.length === 1 && event.key !== ' ') return
    if (act(event.key)) event.preventDefault()
  }

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !singleKeys.get()) return
      if (!'jkx'.includes(event.key) || busyElsewhere(event.target)) return
      if (act(event.key)) event.preventDefault()
    }
    document.addEventListener('keydown', pressed)
    return () => document.removeEventListener('keydown', pressed)
  })

  const take = useCallback((taken: string) => setKey(taken), [])
  return { index, onKeyDown, take }
}

function rowElement(scroller: HTMLElement | null, key: string): HTMLElement | null {
  return scroller?.querySelector(`[data-row="${CSS.escape(key)}"]`) ?? null
}

/** Whether keys belong to something else: a field, a terminal, a dialog. */
export function busyElsewhere(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) {
    return (target as HTMLInputElement).type !== 'checkbox'
  }
  return Boolean(target.closest('[role="dialog"], [role="menu"], .xterm'))
}
