import { SegmentedControl, Select, Switch, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useClients } from '~/api/places'
import { keys, queries } from '~/api/queries'
import { FormDialog } from '~/ui/form-dialog'
import { SecretDialog } from '~/ui/secret-dialog'

export function ChannelDialog({
  channel,
  onClose,
}: {
  channel: Schemas['Channel'] | null
  onClose: () => void
}) {
  const clients = useClients()
  const [kind, setKind] = useState(channel?.kind ?? 'email')
  const [name, setName] = useState(channel?.name ?? '')
  const [target, setTarget] = useState(channel?.target ?? '')
  const [severity, setSeverity] = useState(channel?.min_severity ?? 'warning')
  const [client, setClient] = useState<string | null>(null)
  const [enabled, setEnabled] = useState(channel?.enabled ?? true)
  const [secret, setSecret] = useState<string | null>(null)
  const save = async () => {
    const said = { name, target, min_severity: severity as 'warning', enabled }
    if (channel) {
      await body(
        api.PUT('/api/notifications/{id}', { params: { path: { id: channel.id } }, body: said }),
      )
    } else {
      const made = await body(
        api.POST('/api/notifications', {
          body: { ...said, kind: kind as 'email', client_id: client ?? undefined },
        }),
      )
      if (made.secret) setSecret(made.secret)
    }
    await queries.invalidateQueries({ queryKey: keys.channels })
    if (channel || kind === 'email') onClose()
  }
  if (secret)
    return (
      <SecretDialog
        title="The webhook’s secret"
        what="the webhook’s secret"
        secret={secret}
        onClose={onClose}
      />
    )
  return (
    <FormDialog
      title={channel ? channel.name : 'New channel'}
      verb={channel ? 'Save' : 'Create'}
      save={save}
      onClose={onClose}
      stays
    >
      {at => (
        <>
          {!channel && (
            <SegmentedControl
              aria-label="Kind"
              value={kind}
              onChange={setKind}
              data={[
                { value: 'email', label: 'Mail' },
                { value: 'webhook', label: 'Webhook' },
              ]}
            />
          )}
          <TextInput
            label="Name"
            required
            maxLength={100}
            data-autofocus
            value={name}
            error={at('name')}
            onChange={event => setName(event.currentTarget.value)}
          />
          <TextInput
            label={kind === 'email' ? 'Address' : 'URL'}
            type={kind === 'email' ? 'email' : 'url'}
            required
            value={target}
            error={at('target')}
            onChange={event => setTarget(event.currentTarget.value)}
          />
          <Select
            label="From this severity on"
            data={['info', 'warning', 'critical']}
            value={severity}
            allowDeselect={false}
            onChange={value => setSeverity(value ?? 'warning')}
          />
          {!channel && (
            <Select
              label="Alerts of"
              placeholder="All clients"
              clearable
              searchable
              data={clients.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
              value={client}
              onChange={setClient}
            />
          )}
          <Switch
            label="On"
            checked={enabled}
            onChange={event => setEnabled(event.currentTarget.checked)}
          />
        </>
      )}
    </FormDialog>
  )
}
