import { Button, Group, List, Modal, Progress, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { api, body } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { SitePicker } from '~/components/site-picker'
import { sentence } from '~/ui/error-note'
import { told } from '~/ui/toast'
import { plural } from '~/util/format'

interface MoveDialogProps {
  ids: string[]
  onClose: () => void
  onMoved: () => void
}

/** Moves one after another, and tells which could not be moved. */
export default function MoveDialog({ ids, onClose, onMoved }: MoveDialogProps) {
  const [site, setSite] = useState<string | null>(null)
  const [done, setDone] = useState<number | null>(null)
  const [refused, setRefused] = useState<string[]>([])
  const move = async () => {
    if (!site) return
    const causes: string[] = []
    for (const [at, id] of ids.entries()) {
      setDone(at)
      try {
        await body(
          api.POST('/api/agents/{id}/move', { params: { path: { id } }, body: { site_id: site } }),
        )
      } catch (error) {
        causes.push(error instanceof Error ? error.message : String(error))
      }
    }
    setDone(null)
    setRefused(causes)
    void queries.invalidateQueries({ queryKey: keys.agents })
    if (causes.length === 0) {
      told(`${plural(ids.length, 'device')} moved`)
      onMoved()
      onClose()
    }
  }
  return (
    <Modal opened onClose={onClose} title={`Move ${plural(ids.length, 'device')}`}>
      <form
        onSubmit={event => {
          event.preventDefault()
          void move()
        }}
      >
        <Stack gap="sm">
          <SitePicker value={site} onChange={setSite} />
          <Text size="xs" c="dimmed">
            Sessions to these devices end, as their policy and who may see them can change.
          </Text>
          {done !== null && (
            <Progress value={(done / ids.length) * 100} aria-label="Moved so far" />
          )}
          {refused.length > 0 && (
            <>
              <Text size="sm" c="var(--grmm-bad)" role="alert">
                {plural(refused.length, 'device')} could not be moved:
              </Text>
              <List size="sm">
                {[...new Set(refused)].map(cause => (
                  <List.Item key={cause}>{sentence(cause)}</List.Item>
                ))}
              </List>
            </>
          )}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" disabled={!site} loading={done !== null}>
              Move
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
