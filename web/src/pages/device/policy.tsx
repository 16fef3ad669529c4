import { Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { api, body } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys } from '~/api/queries'
import { flatSettings } from '~/pages/policies/settings'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Link, LinkButton } from '~/ui/link'
import { Table } from '~/ui/table'

const route = getRouteApi('/inside/devices/$agentId')

/** What holds for this device, and which policy each value comes from. */
export default function DevicePolicyPage() {
  const { agentId } = route.useParams()
  const mayNot = useHindrance('writePolicies')
  const policy = useQuery({
    queryKey: [...keys.policies, 'of', agentId],
    queryFn: () => body(api.GET('/api/agents/{id}/policy', { params: { path: { id: agentId } } })),
  })
  if (policy.error) return <ErrorNote error={policy.error} retry={() => void policy.refetch()} />
  if (policy.isPending) return <Skeleton height={200} />
  const { effective, sources } = policy.data
  const own = Object.values(sources).find(source => source.level === 'agent')
  return (
    <Stack gap="xs" style={{ overflow: 'auto', flex: 1, minHeight: 0 }}>
      <Card
        title="What holds for this device"
        actions={
          !mayNot &&
          !own && (
            <LinkButton
              to="/policies/$policyId"
              params={{ policyId: 'new' }}
              search={{ level: 'agent', target: agentId }}
            >
              Set something for this device
            </LinkButton>
          )
        }
      >
        <Table
          label="Effective policy"
          head={['Setting', 'Value', 'From']}
          rows={flatSettings(effective).map(([path, value]) => {
            // Of a rule as a whole, as an alert's, its own path tells the source.
            const source = sources[path] ?? sources[path.slice(0, path.lastIndexOf('.'))]
            return {
              key: path,
              cells: [
                path,
                <code key="value">{value}</code>,
                source ? (
                  <span key="source">
                    <Link to="/policies/$policyId" params={{ policyId: source.policy_id }}>
                      {source.name}
                    </Link>{' '}
                    ({source.level === 'default' ? 'for all' : source.level})
                  </span>
                ) : (
                  'the program’s default'
                ),
              ],
            }
          })}
          none="No policy says anything for this device; the agent’s own configuration holds."
        />
      </Card>
      <Text size="xs" c="dimmed">
        The nearest wins: the device before its site, its client, and what is for all.
      </Text>
    </Stack>
  )
}
