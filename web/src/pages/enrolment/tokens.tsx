import { Button, Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api, body } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { TargetName } from '~/pages/policies/target-name'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'

export function Tokens() {
  const tokens = useQuery({
    queryKey: keys.tokens,
    queryFn: () => body(api.GET('/api/registration-tokens')),
  })
  const remove = (id: string) =>
    confirm({
      title: 'Delete this token?',
      text: 'No device comes in with it any more. Those that came in stay.',
      verb: 'Delete',
      danger: true,
      act: async () => {
        await body(api.DELETE('/api/registration-tokens/{id}', { params: { path: { id } } }))
        await queries.invalidateQueries({ queryKey: keys.tokens })
      },
    })
  if (tokens.error) return <ErrorNote error={tokens.error} retry={() => void tokens.refetch()} />
  if (tokens.isPending) return <Skeleton height={80} />
  return (
    <Table
      label="Tokens"
      head={['Name', 'For', 'Used', 'Approval', 'Ends', 'Made', 'Actions']}
      rows={tokens.data.items.map(token => ({
        key: token.id,
        cells: [
          token.name ?? '–',
          <TargetName key="site" target={{ site_id: token.site_id }} />,
          token.uses_left === null || token.uses_left === undefined
            ? `${token.uses}, no limit`
            : `${token.uses}, ${token.uses_left} left`,
          token.approval ? 'needed' : 'none',
          <Time key="ends" at={token.expires_at} />,
          <Time key="made" at={token.created_at} />,
          <Button key="delete" size="compact-xs" variant="default" onClick={() => remove(token.id)}>
            Delete…
          </Button>,
        ],
      }))}
      none="No tokens. Add device makes one for each device."
    />
  )
}
