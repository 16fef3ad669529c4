import { Select, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api, body } from '~/api/client'
import { useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { ROLES } from '~/components/roles'
import { ScopeFields } from '~/components/scope-fields'
import { FormDialog } from '~/ui/form-dialog'
import { SecretDialog } from '~/ui/secret-dialog'

const LIVES = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: '1 year' },
  { value: '', label: 'until it is revoked' },
]

export function KeyDialog({ onClose }: { onClose: () => void }) {
  const user = useUser()
  // A key may do what its maker may, at most.
  const roles = ROLES.slice(ROLES.findIndex(role => role.value === user.role))
  const [name, setName] = useState('')
  const [role, setRole] = useState(roles.at(-1)?.value ?? 'read_only')
  const [scope, setScope] = useState(user.scope ?? null)
  const [days, setDays] = useState('90')
  const [secret, setSecret] = useState<string | null>(null)
  const save = async () => {
    const made = await body(
      api.POST('/api/keys', {
        body: {
          name,
          role,
          scope,
          expires_at: days
            ? new Date(Date.now() + Number(days) * 86_400_000).toISOString()
            : undefined,
        },
      }),
    )
    void queries.invalidateQueries({ queryKey: keys.apiKeys })
    setSecret(made.key ?? '')
  }
  if (secret !== null)
    return <SecretDialog title="The key" what="the key" secret={secret} onClose={onClose} />
  return (
    // What the save has made is shown before it closes.
    <FormDialog
      title="New key"
      verb="Create"
      ready={name.trim() !== ''}
      save={save}
      onClose={onClose}
      stays
    >
      {at => (
        <>
          <TextInput
            label="Name"
            description="What uses it"
            required
            maxLength={100}
            data-autofocus
            value={name}
            error={at('name')}
            onChange={event => setName(event.currentTarget.value)}
          />
          <Select
            label="Role"
            data={roles}
            value={role}
            error={at('role')}
            allowDeselect={false}
            onChange={value => setRole(value ?? 'read_only')}
          />
          <Select
            label="Works for"
            data={LIVES}
            value={days}
            allowDeselect={false}
            onChange={value => setDays(value ?? '')}
          />
          <ScopeFields value={scope} onChange={setScope} />
        </>
      )}
    </FormDialog>
  )
}
