import { useQuery } from '@tanstack/react-query'
import { alsoAsk, api, body } from '~/api/client'
import { keys } from '~/api/queries'
import { AlertList } from '~/pages/alerts/alert-list'
import { Card } from '~/ui/card'
import { plural } from '~/util/format'

/** Unresolved alerts, where there are any. */
export function OpenAlerts({ agentId }: { agentId: string }) {
  const alerts = useQuery({
    queryKey: [...keys.alerts, 'open', agentId],
    queryFn: () =>
      body(
        api.GET('/api/alerts', {
          params: { query: alsoAsk({ status: 'unresolved', agent_id: agentId, limit: 20 }) },
        }),
      ),
  })
  const items = alerts.data?.items ?? []
  if (items.length === 0) return null
  return (
    <Card title={plural(items.length, 'unresolved alert')}>
      <AlertList alerts={items} />
    </Card>
  )
}
