import { Modal, Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { alsoAsk, api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { ErrorNote } from '~/ui/error-note'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { words } from '~/util/format'

const LIVE_MS = 3000

/** What was told, and what did not arrive and why. */
export function DeliveriesDialog({
  channel,
  onClose,
}: {
  channel: Schemas['Channel']
  onClose: () => void
}) {
  const log = useQuery({
    queryKey: [...keys.channels, channel.id, 'deliveries'],
    queryFn: () =>
      body(
        api.GET('/api/notifications/{id}/deliveries', {
          params: { path: { id: channel.id }, query: alsoAsk({ limit: 50 }) },
        }),
      ),
    refetchInterval: LIVE_MS,
  })
  return (
    <Modal opened onClose={onClose} title={`What was told to ${channel.name}`} size="xl">
      <ErrorNote error={log.error} />
      {log.isPending ? (
        <Skeleton height={120} />
      ) : (
        <Table
          label="Deliveries"
          head={['When', 'What', 'State', 'Tries', 'Next', 'Problem']}
          rows={(log.data?.items ?? []).map(delivery => ({
            key: delivery.id,
            cells: [
              <Time key="at" at={delivery.created_at} />,
              delivery.event,
              words(delivery.status),
              delivery.attempts,
              delivery.finished_at ? '–' : <Time key="next" at={delivery.next_at} none="–" />,
              delivery.last_error ?? '',
            ],
          }))}
          none="Nothing yet."
        />
      )}
    </Modal>
  )
}
