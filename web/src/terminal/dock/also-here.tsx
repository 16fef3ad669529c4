import { Text } from '@mantine/core'
import { createStore, useStore } from '~/util/store'
import { plain } from '~/util/untrusted'
import { NOTHING_SEEN, otherViewers, type SessionView } from '../session/session-view'
import type { ViewerLink } from '../session/viewer-link'
import classes from './dock.module.css'

const UNSEEN = createStore<SessionView>(NOTHING_SEEN)

/** Who else is in the session. */
export function AlsoHere({ link }: { link: ViewerLink | undefined }) {
  const others = otherViewers(useStore(link?.view ?? UNSEEN))
  if (others.length === 0) return null
  const names = others.map(one => `${plain(one.name, 40)}${one.read_only ? ' (watching)' : ''}`)
  const text = `Also here: ${names.join(', ')}`
  return (
    <Text size="xs" className={classes.others} title={text} role="status">
      <bdi>{text}</bdi>
    </Text>
  )
}
