import { type DragEvent, useRef, useState } from 'react'
import { failed } from '~/ui/toast'
import { type Dropped, readDropped } from './transfers/dropped'

/** Files that are dragged over an element and dropped on it. */
export function useDrop(onDropped: (dropped: Dropped) => void) {
  const [over, setOver] = useState(false)
  // Each element inside tells its own enter and leave.
  const depth = useRef(0)
  const isFiles = (event: DragEvent) => event.dataTransfer.types.includes('Files')
  const move = (by: number) => (event: DragEvent) => {
    if (!isFiles(event)) return
    event.preventDefault()
    depth.current += by
    setOver(depth.current > 0)
  }
  return {
    over,
    handlers: {
      onDragEnter: move(1),
      onDragLeave: move(-1),
      onDragOver: (event: DragEvent) => isFiles(event) && event.preventDefault(),
      onDrop: (event: DragEvent) => {
        if (!isFiles(event)) return
        event.preventDefault()
        depth.current = 0
        setOver(false)
        readDropped(event.dataTransfer.items).then(onDropped, error =>
          failed(error, 'What was dropped cannot be read'),
        )
      },
    },
  }
}
