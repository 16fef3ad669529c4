import { Button } from '@mantine/core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { hindrance } from '~/api/actions'
import type { Schemas } from '~/api/client'
import { useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { ensureSession, findSession } from '~/api/tunnel-session'
import { Empty } from '~/ui/empty'
import { ErrorNote } from '~/ui/error-note'

interface SessionGateProps {
  agent: Schemas['Agent']
  /** What is there behind it: "services". */
  what: string
  children: (sessionId: string) => React.ReactNode
}

/** What lives on the machine itself needs a session to it; opening one is an act, so it is asked for. */
export function SessionGate({ agent, what, children }: SessionGateProps) {
  const user = useUser()
  const why = hindrance('openSession', user, agent)
  const session = useQuery({
    queryKey: [...keys.sessions, 'of', agent.id],
    queryFn: () => findSession(agent.id),
  })
  const open = useMutation({
    mutationFn: () => ensureSession(agent.id),
    onSuccess: id => {
      queries.setQueryData([...keys.sessions, 'of', agent.id], id)
      void queries.invalidateQueries({ queryKey: keys.sessions })
    },
  })
  if (session.data) return <>{children(session.data)}</>
  if (session.isPending) return null
  return (
    <Empty
      title={`The ${what} of this device`}
      text={
        why
          ? `They come from the machine itself, and ${why}.`
          : 'They come from the machine itself, through a session. Opening one is noted in the audit.'
      }
    >
      <ErrorNote error={open.error ?? session.error} />
      {!why && (
        <Button loading={open.isPending} onClick={() => open.mutate()}>
          Open a session
        </Button>
      )}
    </Empty>
  )
}
