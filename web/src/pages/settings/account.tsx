import { Button, Group, PasswordInput, Stack } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { changePassword } from '~/api/login'
import { useUser } from '~/api/me'
import { scopeName } from '~/components/scope-fields'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { NewPassword } from '~/ui/new-password'
import { told } from '~/ui/toast'
import { words } from '~/util/format'

export function Account() {
  const user = useUser()
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const change = useMutation({
    mutationFn: () => changePassword(current, next),
    onSuccess: () => {
      setCurrent('')
      setNext('')
      told('Your password is changed; other log-ins of yours have ended')
    },
  })
  return (
    <Card title="Your account">
      <Facts
        items={[
          ['E-mail', user.email],
          ['Name', user.name || '–'],
          ['Role', words(user.role)],
          ['Sees', scopeName(user.scope)],
        ]}
      />
      <form
        onSubmit={event => {
          event.preventDefault()
          change.mutate()
        }}
      >
        <Stack gap="xs" mt="sm" maw={320}>
          <input type="hidden" autoComplete="username" value={user.email} readOnly />
          <PasswordInput
            label="Current password"
            autoComplete="current-password"
            required
            value={current}
            onChange={event => setCurrent(event.currentTarget.value)}
          />
          <NewPassword label="New password" value={next} onChange={setNext} />
          <ErrorNote error={change.error} />
          <Group>
            <Button type="submit" loading={change.isPending}>
              Change password
            </Button>
          </Group>
        </Stack>
      </form>
    </Card>
  )
}
