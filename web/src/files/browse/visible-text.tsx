import { partsOf } from '../visible-name'
import classes from './browse.module.css'

/** A name of a file; what would not be seen of it is shown by its number. */
export function VisibleName({ name }: { name: string }) {
  return (
    <bdi>
      {partsOf(name).map((part, at) =>
        part.hidden ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts never move
          <span key={at} className={classes.hidden}>
            {part.text}
          </span>
        ) : (
          part.text
        ),
      )}
    </bdi>
  )
}
