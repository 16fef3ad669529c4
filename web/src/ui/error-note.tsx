import { Alert, Button, Code, Text } from '@mantine/core'
import { ApiError, nextStep } from '~/api/problem'
import { Icon } from './icons'

/** What went wrong, what to do now, and the request id to look for in the server's log. */
export function ErrorNote({
  error,
  title,
  retry,
}: {
  error: unknown
  title?: string
  retry?: () => void
}) {
  if (!error) return null
  const cause = error instanceof Error ? error.message : 'something went wrong'
  const step = nextStep(error)
  const requestId = error instanceof ApiError ? error.requestId : null
  return (
    <Alert
      color="red"
      role="alert"
      icon={<Icon name="alert" />}
      title={title ?? sentence(cause)}
      styles={{
        root: { background: 'color-mix(in srgb, var(--grmm-bad) 9%, var(--grmm-surface))' },
        title: { color: 'var(--grmm-bad)' },
        icon: { color: 'var(--grmm-bad)' },
      }}
    >
      {title && <Text size="sm">{sentence(cause)}</Text>}
      {step && <Text size="sm">{step}</Text>}
      {requestId && (
        <Text size="xs" c="dimmed" mt={4}>
          Request <Code style={{ color: 'var(--mantine-color-text)' }}>{requestId}</Code>
        </Text>
      )}
      {retry && (
        <Button mt="xs" variant="default" onClick={retry}>
          Try again
        </Button>
      )}
    </Alert>
  )
}

export function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`
}
