import { Text } from '@mantine/core'
import { useState } from 'react'
import { api, body } from '~/api/client'
import { SitePicker } from '~/components/site-picker'
import { BulkDialog } from './bulk-dialog'

interface MoveDialogProps {
  ids: string[]
  onClose: () => void
  onMoved?: () => void
}

/** Moves devices to another site. */
export default function MoveDialog({ ids, onClose, onMoved }: MoveDialogProps) {
  const [site, setSite] = useState<string | null>(null)
  const move = (id: string) =>
    body(
      api.POST('/api/agents/{id}/move', {
        params: { path: { id } },
        body: { site_id: site ?? '' },
      }),
    )
  return (
    <BulkDialog
      ids={ids}
      verb="Move"
      done="moved"
      ready={Boolean(site)}
      act={move}
      onClose={onClose}
      onDone={onMoved}
    >
      <SitePicker value={site} onChange={setSite} />
      <Text size="xs" c="dimmed">
        Sessions to these devices end, as their policy and who may see them can change.
      </Text>
    </BulkDialog>
  )
}
