import { Button, Stack, Text, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { setUp } from '~/api/login'
import { ApiError } from '~/api/problem'
import { Entrance } from '~/components/entrance'
import { ErrorNote } from '~/ui/error-note'
import { Link } from '~/ui/link'
import { NewPassword } from '~/ui/new-password'

/** The first administrator, made with the token that the server wrote at its first start. */
export default function SetupPage() {
  const navigate = useNavigate()
  const [token, setToken] = useState('')
  const [name, setName] = useState('')
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const first = useMutation({
    mutationFn: () => setUp({ token: token.trim(), name, email, password }),
    onSuccess: () => navigate({ to: '/devices', replace: true }),
  })
  const problem = first.error instanceof ApiError ? first.error : null
  const at = (field: string) => (problem?.field === field ? problem.message : null)
  return (
    <Entrance title="Set up this server">
      <form
        onSubmit={event => {
          event.preventDefault()
          first.mutate()
        }}
      >
        <Stack gap="sm">
          <TextInput
            label="One-time token"
            description="The server wrote it to setup-token in its data directory at its first start."
            required
            withAsterisk={false}
            autoFocus
            autoComplete="off"
            spellCheck={false}
            value={token}
            error={at('token')}
            onChange={event => setToken(event.currentTarget.value)}
          />
          <TextInput
            label="Your name"
            autoComplete="name"
            required
            withAsterisk={false}
            value={name}
            error={at('name')}
            onChange={event => setName(event.currentTarget.value)}
          />
          <TextInput
            label="E-mail"
            type="email"
            autoComplete="username"
            required
            withAsterisk={false}
            value={email}
            error={at('email')}
            onChange={event => setEmail(event.currentTarget.value)}
          />
          <NewPassword value={password} onChange={setPassword} error={at('password')} />
          {!problem?.field && <ErrorNote error={first.error} />}
          <Button type="submit" size="sm" loading={first.isPending} fullWidth>
            Create the administrator
          </Button>
          <Text size="xs" c="dimmed">
            Set up already?{' '}
            <Link to="/" underline="always">
              Log in
            </Link>
          </Text>
        </Stack>
      </form>
    </Entrance>
  )
}
