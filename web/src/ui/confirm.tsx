import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { createStore, useStore } from '~/util/store'
import { ErrorNote } from './error-note'

interface Question {
  title: string
  /** What will happen, and what cannot be taken back. */
  text: string
  /** The verb on the button: "Delete", "End session". */
  verb: string
  danger?: boolean
  /** To be typed before something large is destroyed. */
  typed?: string
  act: () => Promise<unknown>
}

const asked = createStore<Question | null>(null)

/** Asks before something that cannot be undone, and shows there what went wrong. */
export function confirm(question: Question): void {
  asked.set(question)
}

export function ConfirmHost() {
  const question = useStore(asked)
  return question ? <Dialog key={question.title} question={question} /> : null
}

function Dialog({ question }: { question: Question }) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [typed, setTyped] = useState('')
  const close = () => asked.set(null)
  const act = async () => {
    setBusy(true)
    setError(null)
    try {
      await question.act()
      close()
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const ready = !question.typed || typed === question.typed
  return (
    <Modal opened onClose={close} title={question.title} size="md">
      <form
        onSubmit={event => {
          event.preventDefault()
          if (ready && !busy) void act()
        }}
      >
        <Stack gap="sm">
          <Text size="sm">{question.text}</Text>
          {question.typed && (
            <TextInput
              label={`Type ${question.typed} to go on`}
              value={typed}
              onChange={event => setTyped(event.currentTarget.value)}
              data-autofocus
              autoComplete="off"
            />
          )}
          <ErrorNote error={error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button
              type="submit"
              color={question.danger ? 'red.8' : undefined}
              loading={busy}
              disabled={!ready}
              data-autofocus={!question.typed || undefined}
            >
              {question.verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
