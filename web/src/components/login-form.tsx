import { Button, PasswordInput, Stack, Text, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { logIn } from '~/api/login'
import { ErrorNote } from '~/ui/error-note'
import { Link } from '~/ui/link'
import { Entrance } from './entrance'

export function LoginForm() {
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const enter = useMutation({ mutationFn: () => logIn(email, password) })
  return (
    <Entrance title="Log in">
      <form
        onSubmit={event => {
          event.preventDefault()
          enter.mutate()
        }}
      >
        <Stack gap="sm">
          <TextInput
            label="E-mail"
            type="email"
            name="email"
            autoComplete="username"
            size="sm"
            required
            withAsterisk={false}
            autoFocus
            value={email}
            onChange={event => setEmail(event.currentTarget.value)}
          />
          <PasswordInput
            label="Password"
            name="password"
            autoComplete="current-password"
            size="sm"
            required
            withAsterisk={false}
            value={password}
            onChange={event => setPassword(event.currentTarget.value)}
          />
          <ErrorNote error={enter.error} />
          <Button type="submit" size="sm" loading={enter.isPending} fullWidth>
            Log in
          </Button>
          <Text size="xs" c="dimmed">
            A new server?{' '}
            <Link to="/setup" underline="always">
              Set it up
            </Link>{' '}
            with its one-time token.
          </Text>
        </Stack>
      </form>
    </Entrance>
  )
}
