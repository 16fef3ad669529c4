import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import type { Schemas } from '~/api/client'
import RunDialog from '~/components/run-dialog/run-dialog'
import { TargetFields } from '~/components/target-fields'

/** First for which devices, then what to run there. */
export default function NewJob({ scriptId, onClose }: { scriptId?: string; onClose: () => void }) {
  const [filter, setFilter] = useState<Schemas['JobFilter']>({})
  const [chosen, setChosen] = useState(false)
  if (chosen) return <RunDialog filter={filter} scriptId={scriptId} onClose={onClose} />
  const all = !filter.client_id && !filter.site_id && !filter.os_family
  return (
    <Modal opened onClose={onClose} title="Run a job: for which devices?" size="lg">
      <form
        onSubmit={event => {
          event.preventDefault()
          setChosen(true)
        }}
      >
        <Stack gap="sm">
          <TargetFields value={filter} onChange={setFilter} />
          <Text size="xs" c={all ? 'var(--grmm-warn)' : 'dimmed'} role="status">
            {all
              ? 'All devices that you may see. To choose single ones, select them in the list of devices.'
              : 'All devices that fit every part.'}
          </Text>
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit">Next</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
