import { Button, Group, Modal, PasswordInput, Stack, Text } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { logIn } from '~/api/login'
import { becomeAnonymous, type User } from '~/api/session'
import { ErrorNote } from '~/ui/error-note'

/** Asks for the password again over the page; what was typed there stays, what was sent goes on. */
export function LoginAgain({ user }: { user: User }) {
  const [password, setPassword] = useState('')
  const enter = useMutation({ mutationFn: () => logIn(user.email, password) })
  return (
    <Modal
      opened
      onClose={() => {}}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      zIndex={1000}
      title="Your log-in has expired"
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          enter.mutate()
        }}
      >
        <Stack gap="sm">
          <Text size="sm">Nothing is lost: the page beneath stays as it is and goes on.</Text>
          <input type="hidden" name="email" autoComplete="username" value={user.email} />
          <PasswordInput
            label={`Password of ${user.email}`}
            autoComplete="current-password"
            required
            withAsterisk={false}
            data-autofocus
            value={password}
            onChange={event => setPassword(event.currentTarget.value)}
          />
          <ErrorNote error={enter.error} />
          <Group justify="space-between">
            <Button variant="subtle" color="gray" onClick={becomeAnonymous}>
              Someone else
            </Button>
            <Button type="submit" loading={enter.isPending}>
              Go on
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
