import { ActionIcon, TextInput, Tooltip, UnstyledButton } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { Icon } from '~/ui/icons'
import { crumbsOf, isAbsolute, tidy } from '../file-path'
import classes from './browse.module.css'
import { VisibleName } from './visible-text'

interface Props {
  path: string
  onPath: (path: string) => void
}

/** Where one is: the folders above to go back to, or a path to be typed. */
export function PlaceBar({ path, onPath }: Props) {
  const [typing, setTyping] = useState(false)
  if (typing) {
    return (
      <PathField
        path={path}
        onDone={next => {
          setTyping(false)
          if (next) onPath(next)
        }}
      />
    )
  }
  const crumbs = crumbsOf(path)
  return (
    <nav className={classes.place} aria-label="Folder">
      {crumbs.map((crumb, at) => (
        <UnstyledButton
          key={crumb.path}
          className={classes.crumb}
          aria-current={at === crumbs.length - 1 ? 'page' : undefined}
          onClick={() => onPath(crumb.path)}
        >
          <VisibleName name={crumb.name} />
          {at > 0 && at < crumbs.length - 1 && <span className={classes.dim}> ›</span>}
        </UnstyledButton>
      ))}
      <Tooltip label="Type a path">
        <ActionIcon aria-label="Type a path" onClick={() => setTyping(true)}>
          <Icon name="dots" />
        </ActionIcon>
      </Tooltip>
    </nav>
  )
}

function PathField({ path, onDone }: { path: string; onDone: (path?: string) => void }) {
  const [text, setText] = useState(path)
  const wanted = tidy(text)
  const wrong = !isAbsolute(wanted)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!wrong) onDone(wanted)
  }
  return (
    <form onSubmit={submit} className={classes.place}>
      <TextInput
        aria-label="Path of a folder"
        value={text}
        onChange={event => setText(event.currentTarget.value)}
        onKeyDown={event => event.key === 'Escape' && onDone()}
        onBlur={() => onDone()}
        error={wrong}
        autoFocus
        spellCheck={false}
        flex={1}
      />
    </form>
  )
}
