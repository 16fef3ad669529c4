import { Button, Group, Modal, Skeleton, Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api, body } from '~/api/client'
import { useUser } from '~/api/me'
import { keys } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { watchSession } from '~/terminal'
import { ErrorNote } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { words } from '~/util/format'
import { plain } from '~/util/untrusted'
import { endWithQuestion } from './end-session'

const LIVE_MS = 3000

/** What runs and ran in a session. */
export function SessionDialog({ sessionId, onClose }: { sessionId: string; onClose: () => void }) {
  const user = useUser()
  const path = { session_id: sessionId }
  const asked = useQuery({
    queryKey: [...keys.sessions, sessionId],
    queryFn: () => body(api.GET('/api/v1/tunnel/status/{session_id}', { params: { path } })),
    refetchInterval: LIVE_MS,
  })
  const acts = useQuery({
    queryKey: [...keys.sessions, sessionId, 'audit'],
    queryFn: () => body(api.GET('/api/v1/tunnel/{session_id}/audit', { params: { path } })),
    refetchInterval: LIVE_MS,
  })
  const session = asked.data
  const open = session && !session.closed_at
  const mayWatch = open && user.role === 'administrator'
  return (
    <Modal opened onClose={onClose} title="Session" size="xl">
      <Stack gap="sm">
        <ErrorNote error={asked.error} />
        {asked.isPending && <Skeleton height={100} />}
        {session && (
          <>
            <Facts
              items={[
                ['Device', <DeviceName key="d" id={session.agent_id} />],
                ['State', words(session.status)],
                ['Opened', <Time key="o" at={session.opened_at} />],
                ['Last active', <Time key="a" at={session.last_activity} />],
                ['Closed', session.closed_at ? <Time key="c" at={session.closed_at} /> : 'not yet'],
                ['Because', session.close_reason ? words(session.close_reason) : '–'],
              ]}
            />
            {open && (
              <Group gap="xs">
                {mayWatch && (
                  <Button
                    variant="default"
                    onClick={() => {
                      watchSession({ sessionId, agentId: session.agent_id })
                      onClose()
                    }}
                  >
                    Watch
                  </Button>
                )}
                {session.tech_id === user.id && (
                  <Button variant="default" onClick={() => endWithQuestion(sessionId)}>
                    End…
                  </Button>
                )}
              </Group>
            )}
          </>
        )}
        <ErrorNote error={acts.error} />
        <Table
          label="What was done in it"
          head={['When', 'Did', 'Detail', 'Outcome']}
          rows={(acts.data?.items ?? []).map(act => ({
            key: act.id,
            cells: [
              <Time key="at" at={act.at} />,
              <code key="action">{act.action}</code>,
              plain(act.detail, 200),
              act.outcome ? words(act.outcome) : 'going on',
            ],
          }))}
          none={acts.isPending ? 'Loading…' : 'Nothing.'}
        />
      </Stack>
    </Modal>
  )
}
