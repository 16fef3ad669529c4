import { useQuery } from '@tanstack/react-query'
import { api, body } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { Link } from '~/ui/link'
import { Untrusted } from '~/ui/untrusted'

/** The name of a device that is known by its id only; what a list has already fetched is not asked for again. */
export function DeviceName({ id, name }: { id: string; name?: string | null }) {
  const device = useQuery({
    queryKey: [...keys.agent(id), 'name'],
    queryFn: async () =>
      (await body(api.GET('/api/agents/{id}', { params: { path: { id } } }))).hostname,
    initialData: () => name ?? listed(id),
    staleTime: 600_000,
    retry: false,
  })
  return (
    <Link to="/devices/$agentId" params={{ agentId: id }} tabIndex={-1}>
      {device.data ? (
        <Untrusted text={device.data} longest={80} />
      ) : device.isError ? (
        'a deleted device'
      ) : (
        '…'
      )}
    </Link>
  )
}

function listed(id: string): string | undefined {
  for (const [, data] of queries.getQueriesData<{
    pages: { items: { id: string; hostname: string }[] }[]
  }>({
    queryKey: [...keys.agents, 'list'],
  })) {
    for (const page of data?.pages ?? []) {
      const found = page.items.find(agent => agent.id === id)
      if (found) return found.hostname
    }
  }
  return undefined
}
