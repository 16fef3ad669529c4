import { Button, Group, Modal, Stack, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { ErrorNote } from '~/ui/error-note'
import { nameProblem, type PathStyle } from '../file-path'

interface Props {
  title: string
  verb: string
  initial: string
  style: PathStyle
  onClose: () => void
  act: (name: string) => Promise<void>
}

/** Asks for a name: of a new folder, or another one of a file. */
export function NameDialog({ title, verb, initial, style, onClose, act }: Props) {
  const [name, setName] = useState(initial)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const problem = nameProblem(name, style)
  const unchanged = name === initial
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (problem || unchanged || busy) return
    setBusy(true)
    setError(null)
    try {
      await act(name)
      onClose()
    } catch (refusal) {
      setError(refusal)
      setBusy(false)
    }
  }
  return (
    <Modal opened onClose={onClose} title={title} size="md">
      <form onSubmit={submit}>
        <Stack gap="sm">
          <TextInput
            label="Name"
            value={name}
            onChange={event => setName(event.currentTarget.value)}
            error={name !== initial && name !== '' ? problem : undefined}
            data-autofocus
            autoComplete="off"
            spellCheck={false}
          />
          <ErrorNote error={error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={busy} disabled={Boolean(problem) || unchanged}>
              {verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
