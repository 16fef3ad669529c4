import { type KeyboardEvent, type PointerEvent, useRef } from 'react'
import { useStore } from '~/util/store'
import { LOWEST_DOCK, prefer, preferences } from '../preferences'
import classes from './dock.module.css'

const STEP_PX = 24

/** The dock's upper edge, to be dragged or moved by arrow keys. */
export function HeightSeparator() {
  const { dockHeight } = useStore(preferences)
  const from = useRef<{ y: number; height: number } | undefined>(undefined)
  const begin = (event: PointerEvent<HTMLHRElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId)
    from.current = { y: event.clientY, height: dockHeight }
  }
  const drag = (event: PointerEvent) => {
    const start = from.current
    if (start) prefer({ dockHeight: start.height + start.y - event.clientY })
  }
  const press = (event: KeyboardEvent) => {
    const step = { ArrowUp: STEP_PX, ArrowDown: -STEP_PX }[event.key]
    if (!step) return
    event.preventDefault()
    prefer({ dockHeight: dockHeight + step })
  }
  return (
    // A separator that takes the focus is a control (APG, window splitter).
    <hr
      className={classes.separator}
      tabIndex={0}
      aria-label="Height of the terminals"
      aria-orientation="horizontal"
      aria-valuenow={dockHeight}
      aria-valuemin={LOWEST_DOCK}
      aria-valuemax={window.innerHeight}
      onPointerDown={begin}
      onPointerMove={drag}
      onPointerUp={() => {
        from.current = undefined
      }}
      onKeyDown={press}
    />
  )
}
