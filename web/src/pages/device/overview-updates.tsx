import { Button, Skeleton, Text } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys } from '~/api/queries'
import { usePolling } from '~/components/live-line'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Link } from '~/ui/link'
import { Status } from '~/ui/status'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { Untrusted } from '~/ui/untrusted'
import { isOpen, stateOf, wayOf } from './update-words'
import type { Device } from './use-device'

const UpdateDialog = lazy(() => import('~/pages/devices/update-dialog'))

const PAGE = 5

/** Which agent runs here, what became of its last updates, and a new one. */
export function UpdatesCard({ agent }: { agent: Device }) {
  const [updating, setUpdating] = useState(false)
  const mayNot = useHindrance('updateAgent', agent)
  const pollMs = usePolling()
  const asked = useInfiniteQuery({
    queryKey: keys.updates(agent.id),
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/agents/{id}/updates', {
          params: { path: { id: agent.id }, query: { limit: PAGE, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: page => (page.next_cursor ? Number(page.next_cursor) : undefined),
    refetchInterval: pollMs,
  })
  const updates = asked.data?.pages.flatMap(page => page.items as Schemas['AgentUpdate'][])
  const underWay = updates?.some(isOpen)
  return (
    <Card
      title="Updates of the agent"
      actions={
        !mayNot && (
          <Button variant="default" disabled={underWay} onClick={() => setUpdating(true)}>
            Update now…
          </Button>
        )
      }
    >
      <Text size="sm" mb="xs">
        Runs <Untrusted text={agent.agent_version ?? 'an unknown version'} longest={60} />
        {underWay && '; an update is under way'}
      </Text>
      <ErrorNote error={asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={60} />}
      {updates && (
        <Table
          label="Updates of the agent"
          head={['Version', 'State', 'Error', 'By', 'Asked', 'Ended']}
          rows={updates.map(update => ({
            key: String(update.id),
            cells: [
              <Untrusted key="way" text={wayOf(update)} longest={120} />,
              <UpdateState key="state" update={update} />,
              <Untrusted key="error" text={update.error} longest={300} />,
              <By key="by" update={update} />,
              <Time key="asked" at={update.created_at} />,
              <Time key="ended" at={update.finished_at} none="" />,
            ],
          }))}
          none="None yet."
        />
      )}
      {asked.hasNextPage && (
        <Button
          mt="xs"
          variant="default"
          loading={asked.isFetchingNextPage}
          onClick={() => void asked.fetchNextPage()}
        >
          Older updates
        </Button>
      )}
      <Suspense>
        {updating && <UpdateDialog ids={[agent.id]} onClose={() => setUpdating(false)} />}
      </Suspense>
    </Card>
  )
}

function UpdateState({ update }: { update: Schemas['AgentUpdate'] }) {
  const { tone, text } = stateOf(update)
  return (
    <Status tone={tone}>
      <Untrusted text={text} longest={60} />
    </Status>
  )
}

function By({ update }: { update: Schemas['AgentUpdate'] }) {
  // Rollouts are shown to who sees all clients.
  const mayNot = useHindrance('manageUpdates')
  if (!update.rollout_id) return 'a person'
  if (mayNot) return 'a rollout'
  return (
    <Link to="/updates/$rolloutId" params={{ rolloutId: update.rollout_id }}>
      a rollout
    </Link>
  )
}
