import { Skeleton, Stack } from '@mantine/core'
import { useEffect, useLayoutEffect, useRef } from 'react'
import { ErrorNote } from '~/ui/error-note'
import { useStore } from '~/util/store'
import { preferences } from '../preferences'
import type { TabInfo } from '../tabs/layout'
import classes from './dock.module.css'
import { Notes } from './notes'
import { PasteQuestion } from './paste-question'
import { SearchBar } from './search-bar'
import type { TerminalTab } from './terminal-tab'

interface Props {
  info: TabInfo
  tab: TerminalTab
  /** Changes when the terminal should take the focus; none while another group is the active one. */
  focus: number | undefined
  onEnter: () => void
}

/** A terminal that is shown, with what there is to say about it. */
export function Pane({ info, tab, focus, onEnter }: Props) {
  const { phase, error, searching, pasting } = useStore(tab.state)
  const place = useRef<HTMLDivElement>(null)
  const { fontSize } = useStore(preferences)

  useLayoutEffect(() => {
    const element = place.current
    if (!element) return
    tab.screen.mount(element)
    const fit = () => {
      tab.fit()
      tab.start()
    }
    const observer = new ResizeObserver(fit)
    observer.observe(element)
    return () => {
      observer.disconnect()
      tab.screen.unmount()
    }
  }, [tab])

  // biome-ignore lint/correctness/useExhaustiveDependencies: another size of characters fills the place otherwise
  useEffect(() => tab.fit(), [tab, fontSize])

  useEffect(() => {
    if (focus !== undefined) tab.screen.term.focus()
  }, [tab, focus])

  return (
    <div
      role="tabpanel"
      id={`terminal-pane-${info.key}`}
      aria-labelledby={`terminal-tab-${info.key}`}
      className={classes.pane}
      onFocus={onEnter}
    >
      <Notes info={info} tab={tab} />
      {phase === 'failed' && (
        <div className={classes.failed}>
          <ErrorNote error={error} title="No terminal could be opened" retry={() => tab.again()} />
        </div>
      )}
      {phase === 'opening' && (
        <Stack className={classes.opening} gap="xs" role="status" aria-label="Opening a terminal">
          <Skeleton height={12} width={220} />
          <Skeleton height={12} width={340} />
        </Stack>
      )}
      {searching && <SearchBar tab={tab} />}
      <div ref={place} className={classes.screen} />
      {pasting !== undefined && <PasteQuestion tab={tab} raw={pasting} />}
    </div>
  )
}
