import { Button, Group } from '@mantine/core'
import { Link as RouterLink } from '@tanstack/react-router'
import { useState } from 'react'
import { hindrance } from '~/api/actions'
import type { Schemas } from '~/api/client'
import { useUser } from '~/api/me'
import { openTerminal, watchSession } from '~/terminal'
import { endWithQuestion } from './end-session'
import { SessionDialog } from './session-dialog'

const look = { size: 'compact-xs', variant: 'default' } as const

/** What may be done with a session: one's own is used and ended, others' are watched by administrators. */
export function SessionActions({ session }: { session: Schemas['ListedSession'] }) {
  const user = useUser()
  const [shown, setShown] = useState(false)
  const { session_id: sessionId, agent_id: agentId, hostname: agentName } = session
  const own = session.tech_id === user.id
  const open = !session.closed_at
  return (
    <Group gap={4} wrap="nowrap">
      {own && open && (
        <Button {...look} onClick={() => openTerminal(agentId, { agentName, sessionId })}>
          Terminal
        </Button>
      )}
      {!own && !hindrance('watchSession', user, session) && (
        <Button {...look} onClick={() => watchSession({ sessionId, agentId, agentName })}>
          Watch
        </Button>
      )}
      {own ? (
        <Button {...look} onClick={() => setShown(true)}>
          Details
        </Button>
      ) : (
        <Button
          {...look}
          renderRoot={props => (
            <RouterLink to="/audit" search={{ session: sessionId }} {...props} />
          )}
        >
          In the audit
        </Button>
      )}
      {own && open && (
        <Button {...look} onClick={() => endWithQuestion(sessionId)}>
          End…
        </Button>
      )}
      {shown && <SessionDialog sessionId={sessionId} onClose={() => setShown(false)} />}
    </Group>
  )
}
