import { absolute, relative, useNow } from '~/util/time'

/** A moment as people say it, with the exact one on hover. */
export function Time({ at, none = 'never' }: { at: string | null | undefined; none?: string }) {
  const now = useNow()
  if (!at) return <span>{none}</span>
  const moment = Date.parse(at)
  return (
    <time dateTime={at} title={absolute(moment)}>
      {relative(moment, Math.max(now, Date.now()))}
    </time>
  )
}
