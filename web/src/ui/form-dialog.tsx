import { Button, Group, Modal, Stack } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { ApiError } from '~/api/problem'
import { ErrorNote } from './error-note'

interface FormDialogProps {
  title: string
  verb: string
  size?: string
  ready?: boolean
  save: () => Promise<unknown>
  onClose: () => void
  /** What was made is shown next, by whoever opened it; it does not close by itself. */
  stays?: boolean
  /** Gets the message for a field that the server finds wrong. */
  children: (at: (field: string) => string | undefined) => React.ReactNode
}

/** A dialog with a form: it closes when the server has taken it, and shows why where it has not. */
export function FormDialog({
  title,
  verb,
  size,
  ready = true,
  save,
  onClose,
  stays,
  children,
}: FormDialogProps) {
  const saving = useMutation({ mutationFn: save, onSuccess: () => !stays && onClose() })
  const problem = saving.error instanceof ApiError ? saving.error : null
  let placed = false
  const at = (field: string) => {
    if (problem?.field !== field) return undefined
    placed = true
    return problem.message
  }
  const fields = children(at)
  return (
    <Modal opened onClose={onClose} title={title} size={size} closeOnClickOutside={false}>
      <form
        onSubmit={event => {
          event.preventDefault()
          event.stopPropagation()
          if (ready) saving.mutate()
        }}
      >
        <Stack gap="sm">
          {fields}
          {!placed && <ErrorNote error={saving.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={saving.isPending} disabled={!ready}>
              {verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
