import { TextInput } from '@mantine/core'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { FormDialog } from '~/ui/form-dialog'

/** A new client, or another name for one; a name that someone else changed meanwhile is not overwritten. */
export function ClientDialog({
  client,
  etag,
  onClose,
}: {
  client?: Schemas['Client']
  etag?: string | null
  onClose: () => void
}) {
  const [name, setName] = useState(client?.name ?? '')
  const save = async () => {
    if (client) {
      await body(
        api.PUT('/api/clients/{id}', {
          params: { path: { id: client.id }, header: etag ? { 'If-Match': etag } : undefined },
          body: { name },
        }),
      )
    } else await body(api.POST('/api/clients', { body: { name } }))
    await queries.invalidateQueries({ queryKey: keys.clients })
  }
  return (
    <FormDialog
      title={client ? 'Rename client' : 'New client'}
      verb={client ? 'Rename' : 'Create'}
      ready={name.trim() !== ''}
      save={save}
      onClose={onClose}
    >
      {at => (
        <TextInput
          label="Name"
          required
          maxLength={100}
          data-autofocus
          value={name}
          error={at('name')}
          onChange={event => setName(event.currentTarget.value)}
        />
      )}
    </FormDialog>
  )
}
