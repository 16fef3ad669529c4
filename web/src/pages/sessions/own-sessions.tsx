import { Button, Group, Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { endSession } from '~/api/tunnel-session'
import { DeviceName } from '~/components/device-name'
import { usePolling } from '~/components/live-line'
import { openTerminal } from '~/terminal'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Table } from '~/ui/table'
import { SessionDialog } from './session-dialog'

type Open = Schemas['OpenSession']

export function endWithQuestion(sessionId: string) {
  confirm({
    title: 'End this session?',
    text: 'What runs in it ends too: terminals, commands, transfers.',
    verb: 'End session',
    danger: true,
    act: async () => {
      await endSession(sessionId)
      await queries.invalidateQueries({ queryKey: keys.sessions })
    },
  })
}

export function OwnSessions() {
  const [shown, setShown] = useState<string | null>(null)
  const sessions = useQuery({
    queryKey: [...keys.sessions, 'own'],
    queryFn: () => body(api.GET('/api/v1/tunnel')),
    refetchInterval: usePolling(5000),
  })
  if (sessions.error)
    return <ErrorNote error={sessions.error} retry={() => void sessions.refetch()} />
  if (sessions.isPending) return <Skeleton height={60} />
  return (
    <>
      <Table
        label="Your open sessions"
        head={['Device', 'Session', 'Actions']}
        rows={(sessions.data.items as Open[]).map(session => ({
          key: session.session_id,
          cells: [
            <DeviceName key="device" id={session.agent_id} />,
            <code key="id">{session.session_id}</code>,
            <Group key="actions" gap={4} wrap="nowrap">
              <Button
                size="compact-xs"
                variant="default"
                onClick={() => openTerminal(session.agent_id, { sessionId: session.session_id })}
              >
                Terminal
              </Button>
              <Button
                size="compact-xs"
                variant="default"
                onClick={() => setShown(session.session_id)}
              >
                Details
              </Button>
              <Button
                size="compact-xs"
                variant="default"
                onClick={() => endWithQuestion(session.session_id)}
              >
                End…
              </Button>
            </Group>,
          ],
        }))}
        none="None. A terminal, files or services of a device open one."
      />
      {shown && <SessionDialog sessionId={shown} onClose={() => setShown(null)} />}
    </>
  )
}
