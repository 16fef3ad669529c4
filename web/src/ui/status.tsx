import classes from './status.module.css'

export type Tone = 'good' | 'bad' | 'warn' | 'info' | 'idle'

const SHAPES: Record<Tone, string> = {
  good: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Z',
  bad: 'M2.5 2.5h11v11h-11z',
  warn: 'M8 1.5 15 14H1L8 1.5Z',
  info: 'M8 1 15 8l-7 7-7-7 7-7Z',
  idle: 'M8 3.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6Z',
}

/** A state by shape, text and colour at once. */
export function Status({ tone, children }: { tone: Tone; children: React.ReactNode }) {
  return (
    <span className={classes.status} data-tone={tone}>
      <svg aria-hidden="true" width="10" height="10" viewBox="0 0 16 16">
        <path
          d={SHAPES[tone]}
          fill={tone === 'idle' ? 'none' : 'currentColor'}
          stroke="currentColor"
          strokeWidth={tone === 'idle' ? 2.4 : 0}
        />
      </svg>
      {children}
    </span>
  )
}
