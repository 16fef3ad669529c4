import { Alert, Button, Group, Modal, Stack } from '@mantine/core'
import { CopyLine } from './copy-line'

/** A key that the server shows this once; it closes only by its button. */
export function SecretDialog({
  title,
  what,
  secret,
  onClose,
}: {
  title: string
  what: string
  secret: string
  onClose: () => void
}) {
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
    >
      <Stack gap="sm">
        <Alert color="yellow" styles={{ message: { color: 'var(--mantine-color-text)' } }}>
          Copy it now: it is shown this once and cannot be fetched again.
        </Alert>
        <CopyLine text={secret} label={what} />
        <Group justify="flex-end">
          <Button onClick={onClose}>I have kept it</Button>
        </Group>
      </Stack>
    </Modal>
  )
}
