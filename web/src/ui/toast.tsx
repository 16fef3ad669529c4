import { Button, Code, Group, Text } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { ApiError, nextStep } from '~/api/problem'
import { sentence } from './error-note'

/** What was done, with a way back where there is one. */
export function told(message: string, undo?: () => void): void {
  const id = `told-${Date.now()}-${Math.random()}`
  notifications.show({
    id,
    autoClose: undo ? 10_000 : 4000,
    withCloseButton: true,
    closeButtonProps: { 'aria-label': 'Dismiss' },
    message: (
      <Group justify="space-between" wrap="nowrap">
        <Text size="sm">{message}</Text>
        {undo && (
          <Button
            variant="default"
            onClick={() => {
              notifications.hide(id)
              undo()
            }}
          >
            Undo
          </Button>
        )}
      </Group>
    ),
  })
}

/** What could not be done. Stays until it is dismissed, as its request id is needed. */
export function failed(error: unknown, what: string): void {
  const cause = error instanceof Error ? error.message : 'something went wrong'
  const step = nextStep(error)
  const requestId = error instanceof ApiError ? error.requestId : null
  notifications.show({
    color: 'red',
    autoClose: false,
    withCloseButton: true,
    closeButtonProps: { 'aria-label': 'Dismiss' },
    title: what,
    message: (
      <>
        <Text size="sm">{sentence(cause)}</Text>
        {step && <Text size="sm">{step}</Text>}
        {requestId && (
          <Text size="xs" c="dimmed">
            Request <Code>{requestId}</Code>
          </Text>
        )}
      </>
    ),
  })
}
