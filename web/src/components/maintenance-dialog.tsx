import { Button, Group, Modal, Select, Stack, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { ErrorNote } from '~/ui/error-note'
import { told } from '~/ui/toast'
import { SitePicker } from './site-picker'

const HOURS = [
  { value: '1', label: '1 hour' },
  { value: '2', label: '2 hours' },
  { value: '4', label: '4 hours' },
  { value: '8', label: '8 hours' },
  { value: '24', label: '1 day' },
  { value: '168', label: '1 week' },
]

interface MaintenanceDialogProps {
  /** For these devices; without, for a site that is chosen. */
  agentIds?: string[]
  onClose: () => void
}

/** A time in which no alerts are opened. */
export default function MaintenanceDialog({ agentIds, onClose }: MaintenanceDialogProps) {
  const [hours, setHours] = useState('2')
  const [reason, setReason] = useState('')
  const [site, setSite] = useState<string | null>(null)
  const plan = useMutation({
    mutationFn: async () => {
      const ends_at = new Date(Date.now() + Number(hours) * 3_600_000).toISOString()
      const targets: Partial<Schemas['NewMaintenanceWindow']>[] = agentIds?.map(agent_id => ({
        agent_id,
      })) ?? [{ site_id: site }]
      for (const target of targets) {
        await body(api.POST('/api/maintenance', { body: { ...target, ends_at, reason } }))
      }
    },
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: keys.maintenance })
      told('No alerts are opened there until maintenance is over')
      onClose()
    },
  })
  return (
    <Modal opened onClose={onClose} title="Maintenance">
      <form
        onSubmit={event => {
          event.preventDefault()
          plan.mutate()
        }}
      >
        <Stack gap="sm">
          {!agentIds && <SitePicker value={site} onChange={setSite} />}
          <Select
            label="From now, for"
            data={HOURS}
            value={hours}
            onChange={value => setHours(value ?? '2')}
            allowDeselect={false}
          />
          <TextInput
            label="Reason"
            required
            maxLength={200}
            value={reason}
            onChange={event => setReason(event.currentTarget.value)}
          />
          <ErrorNote error={plan.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={plan.isPending} disabled={!agentIds && !site}>
              Begin
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
