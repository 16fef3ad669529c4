import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { busyElsewhere } from '~/ui/grid-keys'
import { singleKeys } from '~/util/single-keys'
import { PLACES } from './navigation'

const CHORD_MS = 1200

/** Keys that work on every page: `Ctrl+K`, `?`, `/`, and `g` with the letter of a page. */
export function useShellKeys(open: { palette: () => void; help: () => void }) {
  const navigate = useNavigate()
  const chord = useRef(0)
  const latest = useRef(open)
  latest.current = open
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        // A shell uses Ctrl+K itself; it keeps it.
        if (event.target instanceof HTMLElement && event.target.closest('.xterm')) return
        event.preventDefault()
        latest.current.palette()
        return
      }
      if (event.ctrlKey || event.metaKey || event.altKey) return
      if (!singleKeys.get() || busyElsewhere(event.target)) return
      if (event.timeStamp - chord.current < CHORD_MS) {
        chord.current = 0
        const place = PLACES.flatMap(group => group.places).find(one => one.key === event.key)
        if (place) {
          // `j` after `g` goes to the jobs; it does not go down the list as well.
          event.preventDefault()
          event.stopImmediatePropagation()
          void navigate({ to: place.to })
        }
        return
      }
      if (event.key === 'g') chord.current = event.timeStamp
      else if (event.key === '?') latest.current.help()
      else if (event.key === '/') {
        const box = document.querySelector<HTMLInputElement>(
          '[data-search] input, input[data-search]',
        )
        if (!box) return
        event.preventDefault()
        box.focus()
        box.select()
      }
    }
    document.addEventListener('keydown', pressed, true)
    return () => document.removeEventListener('keydown', pressed, true)
  }, [navigate])
}
