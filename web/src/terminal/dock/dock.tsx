import '@xterm/xterm/css/xterm.css'
import { VisuallyHidden } from '@mantine/core'
import { type CSSProperties, useEffect, useRef, useState } from 'react'
import { useStore } from '~/util/store'
import { preferences } from '../preferences'
import { dock } from '../tabs/dock-store'
import { CloseQuestionHost } from './close-question'
import classes from './dock.module.css'
import { GroupView } from './group-view'
import { HeightSeparator } from './height-separator'
import { whenLeft } from './tabs-at-work'

/** Of the bar alone, while the dock is minimised. */
const BAR_HEIGHT = 35

export default function Dock() {
  const { layout, shape, focus } = useStore(dock)
  const { dockHeight } = useStore(preferences)
  const section = useRef<HTMLElement>(null)
  const [announced, setAnnounced] = useState('')
  const height = shape === 'minimised' ? BAR_HEIGHT : dockHeight

  useEffect(
    () =>
      whenLeft(() => {
        const active = section.current?.querySelector<HTMLElement>(
          '[data-active] [role="tab"][aria-selected="true"]',
        )
        active?.focus()
        setAnnounced('Left the terminal. Enter goes back to it, Tab goes on to its tools.')
      }),
    [],
  )

  return (
    <section
      ref={section}
      className={classes.dock}
      style={{ '--height': `${height}px` } as CSSProperties}
      data-shape={shape}
      aria-label="Terminals"
    >
      {shape === 'open' && <HeightSeparator />}
      <VisuallyHidden id="terminal-way-out">
        Keys go to the program. Control Shift Escape or Control F6 leaves the terminal.
      </VisuallyHidden>
      <VisuallyHidden role="status" aria-live="polite">
        {announced}
      </VisuallyHidden>
      <div className={classes.groups}>
        {layout.groups.map((group, at) => (
          <GroupView
            key={group.id}
            group={group}
            isActive={group.id === layout.active}
            isLast={at === layout.groups.length - 1}
            mayShow={shape !== 'minimised'}
            focus={focus}
            onEnter={() => setAnnounced('')}
          />
        ))}
      </div>
      <CloseQuestionHost />
    </section>
  )
}
