import { NumberInput, Select, Switch, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api, body } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { SitePicker } from '~/components/site-picker'
import { FormDialog } from '~/ui/form-dialog'
import { SecretDialog } from '~/ui/secret-dialog'

const DAYS = [
  { value: '1', label: '1 day' },
  { value: '7', label: '7 days' },
  { value: '30', label: '30 days' },
  { value: '365', label: '365 days' },
]

export function TokenDialog({ onClose }: { onClose: () => void }) {
  const [site, setSite] = useState<string | null>(null)
  const [name, setName] = useState('')
  const [days, setDays] = useState('30')
  const [uses, setUses] = useState<number | string>('')
  const [approval, setApproval] = useState(false)
  const [secret, setSecret] = useState<string | null>(null)
  const save = async () => {
    const made = await body(
      api.POST('/api/registration-tokens', {
        body: {
          site_id: site ?? '',
          name: name || undefined,
          expires_at: new Date(Date.now() + Number(days) * 86_400_000).toISOString(),
          uses: uses === '' ? undefined : Number(uses),
          approval,
        },
      }),
    )
    void queries.invalidateQueries({ queryKey: keys.tokens })
    setSecret(made.token ?? null)
  }
  if (secret)
    return <SecretDialog title="The token" what="the token" secret={secret} onClose={onClose} />
  return (
    <FormDialog
      title="New token"
      verb="Create"
      ready={Boolean(site)}
      save={save}
      onClose={onClose}
      stays
    >
      {at => (
        <>
          <SitePicker value={site} onChange={setSite} />
          <TextInput
            label="Name"
            maxLength={100}
            value={name}
            error={at('name')}
            onChange={event => setName(event.currentTarget.value)}
          />
          <Select
            label="Works for"
            data={DAYS}
            value={days}
            onChange={value => setDays(value ?? '30')}
            allowDeselect={false}
          />
          <NumberInput
            label="For how many devices"
            placeholder="no limit"
            min={1}
            value={uses}
            error={at('uses')}
            onChange={setUses}
          />
          <Switch
            label="Each device has to be approved"
            checked={approval}
            onChange={event => setApproval(event.currentTarget.checked)}
          />
        </>
      )}
    </FormDialog>
  )
}
