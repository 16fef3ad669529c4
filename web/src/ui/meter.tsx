import { percent } from '~/util/format'
import classes from './meter.module.css'

/** A share as number and bar; the number is what counts. */
export function Meter({ value, label }: { value: number | null | undefined; label: string }) {
  if (value === null || value === undefined) return <span className={classes.none}>–</span>
  const bounded = Math.max(0, Math.min(100, value))
  return (
    <span className={classes.meter} title={`${label}: ${value.toFixed(1)} %`}>
      <span className={classes.number}>{percent(value)}</span>
      <span className={classes.bar} aria-hidden="true">
        <i style={{ width: `${bounded}%` }} data-high={value >= 90 || undefined} />
      </span>
    </span>
  )
}
