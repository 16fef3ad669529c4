import { TextInput } from '@mantine/core'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { FormDialog } from '~/ui/form-dialog'

interface SiteDialogProps {
  clientId: string
  site?: Schemas['Site']
  onClose: () => void
  /** A new site, with its key. */
  onMade?: (site: Schemas['Site']) => void
}

export function SiteDialog({ clientId, site, onClose, onMade }: SiteDialogProps) {
  const [name, setName] = useState(site?.name ?? '')
  const save = async () => {
    if (site)
      await body(api.PUT('/api/sites/{id}', { params: { path: { id: site.id } }, body: { name } }))
    else onMade?.(await body(api.POST('/api/sites', { body: { client_id: clientId, name } })))
    await queries.invalidateQueries({ queryKey: keys.sites })
  }
  return (
    <FormDialog
      title={site ? 'Rename site' : 'New site'}
      verb={site ? 'Rename' : 'Create'}
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
