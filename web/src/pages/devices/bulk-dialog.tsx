import { Button, Group, Modal, Progress, ScrollArea, Stack, Text } from '@mantine/core'
import { useRef, useState } from 'react'
import { keys, queries } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { sentence } from '~/ui/error-note'
import { Table } from '~/ui/table'
import { told } from '~/ui/toast'
import { count, plural } from '~/util/format'
import { oneByOne, type Refusal } from './one-by-one'

interface BulkDialogProps {
  ids: string[]
  /** `Move`: with `3 devices` it is the title. */
  verb: string
  /** `moved`: with `3 devices` it is what was done. */
  done: string
  ready: boolean
  act: (id: string) => Promise<unknown>
  onClose: () => void
  onDone?: () => void
  children: React.ReactNode
}

/** Does one thing to each device, tells how far it is, and names those where it could not be done. */
export function BulkDialog({
  ids,
  verb,
  done,
  ready,
  act,
  onClose,
  onDone,
  children,
}: BulkDialogProps) {
  const [left, setLeft] = useState(ids)
  const [at, setAt] = useState<number | null>(null)
  const [refused, setRefused] = useState<Refusal[]>([])
  const stopped = useRef(false)
  const busy = at !== null
  const begin = async () => {
    stopped.current = false
    setRefused([])
    const failures = await oneByOne(left, { act, tell: setAt, stopped: () => stopped.current })
    setAt(null)
    setRefused(failures)
    void queries.invalidateQueries({ queryKey: keys.agents })
    for (const id of left) {
      void queries.invalidateQueries({ queryKey: keys.agent(id) })
      void queries.invalidateQueries({ queryKey: keys.updates(id) })
    }
    if (failures.length > 0) {
      setLeft(failures.map(({ id }) => id))
      return
    }
    told(`${plural(ids.length, 'device')} ${done}`)
    onDone?.()
    onClose()
  }
  const stop = () => {
    stopped.current = true
  }
  return (
    <Modal
      opened
      onClose={busy ? stop : onClose}
      title={`${verb} ${plural(ids.length, 'device')}`}
      closeOnClickOutside={!busy}
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          event.stopPropagation()
          if (ready && !busy) void begin()
        }}
      >
        <Stack gap="sm">
          {children}
          {busy && (
            <>
              <Progress value={(at / left.length) * 100} aria-hidden="true" />
              <Text size="xs" role="status">
                {count(at)} of {plural(left.length, 'device')} asked
              </Text>
            </>
          )}
          {refused.length > 0 && (
            <>
              <Text size="sm" c="var(--grmm-bad)" role="alert">
                {plural(refused.length, 'device')} could not be {done}:
              </Text>
              <ScrollArea.Autosize mah={240} viewportProps={{ tabIndex: 0 }}>
                <Table
                  label={`Could not be ${done}`}
                  head={['Device', 'Cause']}
                  rows={refused.map(({ id, cause }) => ({
                    key: id,
                    cells: [<DeviceName key="name" id={id} />, sentence(cause)],
                  }))}
                  none=""
                />
              </ScrollArea.Autosize>
            </>
          )}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={busy ? stop : onClose}>
              {busy ? 'Stop' : refused.length > 0 ? 'Close' : 'Cancel'}
            </Button>
            <Button type="submit" disabled={!ready} loading={busy}>
              {refused.length > 0 ? 'Try these again' : verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
