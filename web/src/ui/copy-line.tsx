import { ActionIcon, CopyButton, Tooltip } from '@mantine/core'
import classes from './copy-line.module.css'
import { Icon } from './icons'

/** A line to be copied as a whole: a command, a key that is shown once. */
export function CopyLine({ text, label }: { text: string; label: string }) {
  return (
    <div className={classes.line}>
      <textarea readOnly aria-label={label} value={text} rows={rowsOf(text)} />
      <CopyButton value={text} timeout={2000}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? 'Copied' : 'Copy'}>
            <ActionIcon
              onClick={copy}
              aria-label={`Copy ${label}`}
              data-copied={copied || undefined}
            >
              <Icon name={copied ? 'check' : 'copy'} />
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </div>
  )
}

function rowsOf(text: string): number {
  return text.split('\n').reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / 64)), 0)
}
