import { ActionIcon, Text, TextInput } from '@mantine/core'
import type { ISearchOptions } from '@xterm/addon-search'
import { type KeyboardEvent, useEffect, useState } from 'react'
import { Icon } from '~/ui/icons'
import classes from './dock.module.css'
import { DockIcon } from './dock-icons'
import type { TerminalTab } from './terminal-tab'

const OPTIONS: ISearchOptions = {
  decorations: {
    matchBackground: '#5a4a00',
    matchOverviewRuler: '#e8b04a',
    activeMatchBackground: '#8f5a00',
    activeMatchColorOverviewRuler: '#ffffff',
  },
}

/** Finds text in what a terminal has shown: Enter goes up, Shift+Enter down, Escape leaves. */
export function SearchBar({ tab }: { tab: TerminalTab }) {
  const { search } = tab.screen
  const [text, setText] = useState('')
  const [found, setFound] = useState<{ at: number; count: number }>()
  useEffect(() => {
    const results = search.onDidChangeResults(({ resultIndex, resultCount }) =>
      setFound({ at: resultIndex + 1, count: resultCount }),
    )
    return () => results.dispose()
  }, [search])
  const older = () => search.findPrevious(text, OPTIONS)
  const newer = () => search.findNext(text, OPTIONS)
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Escape') tab.search(false)
    else if (event.key === 'Enter' && event.shiftKey) newer()
    else if (event.key === 'Enter') older()
  }
  const type = (next: string) => {
    setText(next)
    setFound(undefined)
    if (next) search.findPrevious(next, { ...OPTIONS, incremental: true })
    else search.clearDecorations()
  }
  return (
    <search className={classes.search}>
      <TextInput
        aria-label="Search in the terminal"
        placeholder="Search"
        value={text}
        onChange={event => type(event.currentTarget.value)}
        onKeyDown={press}
        autoFocus
        w={180}
      />
      <Text size="xs" w={64} ta="center" role="status">
        {text && found ? (found.count ? `${found.at || '…'} of ${found.count}` : 'nothing') : ''}
      </Text>
      <ActionIcon aria-label="Older match" onClick={older} disabled={!text}>
        <DockIcon name="up" />
      </ActionIcon>
      <ActionIcon aria-label="Newer match" onClick={newer} disabled={!text}>
        <DockIcon name="down" />
      </ActionIcon>
      <ActionIcon aria-label="Close the search" onClick={() => tab.search(false)}>
        <Icon name="close" />
      </ActionIcon>
    </search>
  )
}
