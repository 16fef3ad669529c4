import { Select, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { ROLES } from '~/components/roles'
import { ScopeFields } from '~/components/scope-fields'
import { FormDialog } from '~/ui/form-dialog'
import { NewPassword } from '~/ui/new-password'

export function UserDialog({
  user,
  onClose,
}: {
  user: Schemas['User'] | null
  onClose: () => void
}) {
  const [email, setEmail] = useState('')
  const [name, setName] = useState(user?.name ?? '')
  const [password, setPassword] = useState('')
  const [role, setRole] = useState(user?.role ?? 'technician')
  const [scope, setScope] = useState(user?.scope ?? null)
  const save = async () => {
    if (user) {
      await body(
        api.PATCH('/api/users/{id}', {
          params: { path: { id: user.id } },
          body: { name: name || undefined, role: role as 'technician', scope },
        }),
      )
    } else
      await body(
        api.POST('/api/users', {
          body: { email, name: name || undefined, password, role: role as 'technician', scope },
        }),
      )
    await queries.invalidateQueries({ queryKey: keys.users })
  }
  return (
    <FormDialog
      title={user ? user.email : 'New user'}
      verb={user ? 'Save' : 'Create'}
      save={save}
      onClose={onClose}
    >
      {at => (
        <>
          {!user && (
            <TextInput
              label="E-mail"
              type="email"
              required
              autoComplete="off"
              data-autofocus
              value={email}
              error={at('email')}
              onChange={event => setEmail(event.currentTarget.value)}
            />
          )}
          <TextInput
            label="Name"
            value={name}
            maxLength={100}
            error={at('name')}
            onChange={event => setName(event.currentTarget.value)}
          />
          {!user && (
            <NewPassword
              label="First password"
              value={password}
              onChange={setPassword}
              error={at('password')}
            />
          )}
          <Select
            label="Role"
            description={
              user
                ? 'A change of role or of what is seen logs the user out and ends the sessions'
                : undefined
            }
            data={ROLES}
            value={role}
            error={at('role')}
            allowDeselect={false}
            onChange={value => setRole(value ?? 'technician')}
          />
          <ScopeFields value={scope} onChange={setScope} />
        </>
      )}
    </FormDialog>
  )
}
