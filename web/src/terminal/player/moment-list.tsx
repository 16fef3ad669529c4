import { UnstyledButton } from '@mantine/core'
import { Untrusted } from '~/ui/untrusted'
import { clock, type Moment } from './moments'
import classes from './player.module.css'

/** Moments to go to. */
export function MomentList({
  moments,
  onSeek,
}: {
  moments: Moment[]
  onSeek: (time: number) => void
}) {
  return (
    <ul className={classes.moments}>
      {moments.map((moment, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the same text may be shown twice in one moment
        <li key={`${moment.time} ${at}`}>
          <UnstyledButton className={classes.moment} onClick={() => onSeek(moment.time)}>
            <time>{clock(moment.time)}</time>
            <Untrusted text={moment.label} longest={120} />
          </UnstyledButton>
        </li>
      ))}
    </ul>
  )
}
