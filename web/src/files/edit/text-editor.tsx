import { Alert, Button, Group, Modal, Skeleton, Stack, Text, Textarea } from '@mantine/core'
import { type KeyboardEvent, useState } from 'react'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { told } from '~/ui/toast'
import { VisibleName } from '../browse/visible-text'
import { nameOf } from '../file-path'
import type { Machine } from '../machine'
import { visible } from '../visible-name'
import { MOST_BYTES } from './text-file'
import { Changed, type Read, useTextFile, writeBack } from './use-text-file'

interface Props {
  machine: Machine
  path: string
  onClose: () => void
  onSaved: () => void
}

/** Edits a small text file in place. */
export function TextEditor({ machine, path, onClose, onSaved }: Props) {
  const [round, setRound] = useState(0)
  const [dirty, setDirty] = useState(false)
  const reading = useTextFile(machine, path, round)
  const leave = () => {
    if (!dirty) return onClose()
    confirm({
      title: 'Leave without saving?',
      text: 'What you changed is lost.',
      verb: 'Leave',
      danger: true,
      act: async () => onClose(),
    })
  }
  return (
    <Modal opened onClose={leave} size="xl" title={<VisibleName name={nameOf(path)} />}>
      {reading.state === 'reading' && <Skeleton height={320} />}
      {reading.state === 'failed' && (
        <ErrorNote error={reading.error} title="It cannot be edited here" />
      )}
      {reading.state === 'read' && (
        <Editing
          key={round}
          machine={machine}
          path={path}
          read={reading.read}
          onDirty={setDirty}
          onClose={leave}
          onReload={() => {
            setDirty(false)
            setRound(round + 1)
          }}
          onSaved={() => {
            onSaved()
            onClose()
            told(`${visible(nameOf(path))} is saved.`)
          }}
        />
      )}
    </Modal>
  )
}

interface EditingProps extends Props {
  read: Read
  onDirty: (dirty: boolean) => void
  onReload: () => void
}

function Editing({ machine, path, read, onDirty, onClose, onReload, onSaved }: EditingProps) {
  const [text, setText] = useState(read.file.text)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const tooLarge = new TextEncoder().encode(text).length > MOST_BYTES
  const save = async (anyway: boolean) => {
    setBusy(true)
    setError(null)
    try {
      await writeBack(machine, path, { ...read, file: { ...read.file, text } }, anyway)
      onSaved()
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const press = (event: KeyboardEvent) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 's') return
    event.preventDefault()
    if (!busy && !tooLarge) void save(false)
  }
  const change = (next: string) => {
    setText(next)
    onDirty(next !== read.file.text)
  }
  return (
    <Stack gap="sm">
      <Textarea
        aria-label="Contents"
        value={text}
        onChange={event => change(event.currentTarget.value)}
        onKeyDown={press}
        rows={18}
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        error={tooLarge ? 'Too long to be edited here: at most 1 MiB.' : undefined}
        data-autofocus
      />
      {error instanceof Changed ? (
        <Conflict change={error} onReload={onReload} onAnyway={() => void save(true)} />
      ) : (
        <ErrorNote error={error} title="It was not saved" />
      )}
      <Group justify="space-between">
        <Text size="xs" c="dimmed">
          UTF-8, {read.file.lineEnd === '\n' ? 'LF' : 'CRLF'}
        </Text>
        <Group gap="xs">
          <Button variant="default" onClick={onClose}>
            Close
          </Button>
          <Button
            onClick={() => void save(false)}
            loading={busy}
            disabled={tooLarge || text === read.file.text}
          >
            Save
          </Button>
        </Group>
      </Group>
    </Stack>
  )
}

function Conflict({
  change,
  onReload,
  onAnyway,
}: {
  change: Changed
  onReload: () => void
  onAnyway: () => void
}) {
  return (
    <Alert
      color="yellow"
      role="alert"
      title="Not saved"
      styles={{ title: { color: 'var(--grmm-warn)' } }}
    >
      <Text size="sm">
        {change.gone
          ? 'The file was deleted meanwhile.'
          : 'Somebody changed the file since you opened it. Copy what you need before you read it again.'}
      </Text>
      <Group gap="xs" mt="xs">
        {!change.gone && (
          <Button variant="default" onClick={onReload}>
            Read it again
          </Button>
        )}
        <Button color="red.8" onClick={onAnyway}>
          {change.gone ? 'Write it again' : 'Replace it with mine'}
        </Button>
      </Group>
    </Alert>
  )
}
