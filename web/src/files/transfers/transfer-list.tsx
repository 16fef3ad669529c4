import { ActionIcon, Button, Group, Progress, Text, Tooltip } from '@mantine/core'
import { ApiError } from '~/api/problem'
import { sentence } from '~/ui/error-note'
import { Icon } from '~/ui/icons'
import { bytes, duration } from '~/util/format'
import { useStore } from '~/util/store'
import { VisibleName } from '../browse/visible-text'
import { nameOf } from '../file-path'
import { visible } from '../visible-name'
import { isOver, type Transfer } from './transfer-queue'
import classes from './transfers.module.css'
import { cancelUpload, clearUploads, pauseUpload, resumeUpload, uploads } from './uploads'

/** The uploads, with what may be done to each. */
export function TransferList() {
  const queue = useStore(uploads)
  if (queue.length === 0) return null
  return (
    <section className={classes.list} aria-label="Uploads">
      <Group justify="space-between" px={10} py={6}>
        <Text size="sm" fw={600}>
          Uploads
        </Text>
        <Button variant="subtle" onClick={clearUploads} disabled={!queue.some(isOver)}>
          Clear finished
        </Button>
      </Group>
      <ul>
        {queue.map(transfer => (
          <Row key={transfer.id} transfer={transfer} />
        ))}
      </ul>
    </section>
  )
}

function Row({ transfer }: { transfer: Transfer }) {
  const { id, path, state, error } = transfer
  const name = visible(nameOf(path))
  const exists = error instanceof ApiError && error.code === 'already_exists'
  const done = state === 'checking' ? transfer.checked : transfer.sent
  const percent = transfer.size === 0 ? 100 : (done / transfer.size) * 100
  const mayPause = state === 'waiting' || state === 'checking' || state === 'running'
  return (
    <li className={classes.row} data-state={state}>
      <div className={classes.name}>
        <VisibleName name={nameOf(path)} />
        <Text size="xs" className={classes.dim}>
          {said(transfer)}
        </Text>
      </div>
      <Progress
        className={classes.progress}
        value={state === 'done' ? 100 : percent}
        color={state === 'failed' ? 'red' : state === 'done' ? 'green' : undefined}
        aria-label={`Progress of ${name}`}
      />
      <Group gap={2} wrap="nowrap">
        {state === 'failed' && exists && (
          <Button variant="default" onClick={() => resumeUpload(id, true)}>
            Replace
          </Button>
        )}
        {mayPause && <Act label={`Pause ${name}`} icon="pause" onClick={() => pauseUpload(id)} />}
        {(state === 'paused' || state === 'retrying') && (
          <Act label={`Resume ${name}`} icon="play" onClick={() => resumeUpload(id)} />
        )}
        {state === 'failed' && !exists && (
          <Act label={`Try ${name} again`} icon="refresh" onClick={() => resumeUpload(id)} />
        )}
        <Act
          label={state === 'done' ? `Remove ${name} from the list` : `Cancel ${name}`}
          icon="close"
          onClick={() => cancelUpload(id)}
        />
      </Group>
    </li>
  )
}

function Act({
  label,
  icon,
  onClick,
}: {
  label: string
  icon: 'pause' | 'play' | 'refresh' | 'close'
  onClick: () => void
}) {
  return (
    <Tooltip label={label}>
      <ActionIcon aria-label={label} onClick={onClick}>
        <Icon name={icon} />
      </ActionIcon>
    </Tooltip>
  )
}

/** How it is, in words and figures. */
function said({ state, size, sent, checked, speed, error }: Transfer): string {
  const so = `${bytes(sent)} of ${bytes(size)}`
  switch (state) {
    case 'waiting':
      return sent > 0 ? `${so}, waiting` : `${bytes(size)}, waiting`
    case 'checking':
      return `Checking, ${bytes(checked)} of ${bytes(size)}`
    case 'running':
      return speed ? `${so}, ${bytes(speed)}/s, ${duration((size - sent) / speed)} left` : so
    case 'paused':
      return `${so}, paused`
    case 'retrying':
      return `${so}. ${why(error)} Trying again…`
    case 'done':
      return `${bytes(size)}, done and checked`
    case 'failed':
      return why(error)
  }
}

function why(error: unknown): string {
  return sentence(error instanceof Error ? error.message : 'something went wrong')
}
