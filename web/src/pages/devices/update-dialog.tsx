import { Select, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys } from '~/api/queries'
import { newerFirst } from '~/util/version'
import { BulkDialog } from './bulk-dialog'

interface UpdateDialogProps {
  ids: string[]
  onClose: () => void
  onDone?: () => void
}

const NEWEST = ''

/** Updates devices at once, without waves: for a few of them, before or after a rollout. */
export default function UpdateDialog({ ids, onClose, onDone }: UpdateDialogProps) {
  const [version, setVersion] = useState(NEWEST)
  // The list of releases is of who sees all clients; others can ask for the newest.
  const mayNotList = useHindrance('manageUpdates')
  const releases = useQuery({
    queryKey: [...keys.releases, 'versions'],
    queryFn: () => body(api.GET('/api/releases', { params: { query: { limit: 1000 } } })),
    enabled: !mayNotList,
    select: page => [
      ...new Set(page.items.filter(({ expired }) => !expired).map(release => release.version)),
    ],
  })
  const update = (id: string) =>
    body(
      api.POST('/api/agents/{id}/update', {
        params: { path: { id } },
        body: version === NEWEST ? {} : { version },
      }),
    )
  return (
    <BulkDialog
      ids={ids}
      verb="Update"
      done="asked to update"
      ready
      act={update}
      onClose={onClose}
      onDone={onDone}
    >
      {!mayNotList && (
        <Select
          label="To version"
          allowDeselect={false}
          data-autofocus
          data={[
            { value: NEWEST, label: 'The newest of the channel that each follows' },
            ...[...(releases.data ?? [])].sort(newerFirst).map(one => ({ value: one, label: one })),
          ]}
          value={version}
          onChange={value => setVersion(value ?? NEWEST)}
        />
      )}
      <Text size="xs" c="dimmed">
        It is sent at once, or when the device comes. The agent starts anew: sessions to the device
        are interrupted for some seconds.
      </Text>
    </BulkDialog>
  )
}
