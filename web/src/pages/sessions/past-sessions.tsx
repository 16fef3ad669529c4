import { Button, Skeleton } from '@mantine/core'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { usePolling } from '~/components/live-line'
import { Outcome } from '~/pages/audit/outcome'
import { ErrorNote } from '~/ui/error-note'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { SessionDialog } from './session-dialog'

type Act = Schemas['Act']

/** From the audit, which knows them all. */
export function PastSessions() {
  const [shown, setShown] = useState<string | null>(null)
  const { rows, grid } = useList<Act>({
    queryKey: [...keys.sessions, 'past'],
    page: cursor =>
      body(
        api.GET('/api/audit', { params: { query: { action: 'tunnel.open', limit: 50, cursor } } }),
      ),
    refetchInterval: usePolling(),
  })
  if (grid.error) return <ErrorNote error={grid.error} retry={grid.retry} />
  if (!rows) return <Skeleton height={160} />
  return (
    <>
      <Table
        label="Everybody’s sessions"
        head={['Opened', 'By', 'Device', 'Outcome', 'Details']}
        rows={rows.map(act => ({
          key: act.id,
          cells: [
            <Time key="at" at={act.at} />,
            act.user_email,
            act.agent_id ? (
              <DeviceName key="device" id={act.agent_id} name={act.agent_hostname} />
            ) : (
              '–'
            ),
            <Outcome key="outcome" act={act} />,
            act.session_id ? (
              <Button
                key="show"
                size="compact-xs"
                variant="default"
                onClick={() => setShown(act.session_id ?? null)}
              >
                Details
              </Button>
            ) : (
              ''
            ),
          ],
        }))}
        none="Nobody has opened a session yet."
      />
      {grid.more.has && (
        <Button mt="xs" variant="default" loading={grid.more.busy} onClick={grid.more.fetch}>
          Older sessions
        </Button>
      )}
      {shown && <SessionDialog sessionId={shown} onClose={() => setShown(null)} />}
    </>
  )
}
