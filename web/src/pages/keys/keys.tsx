import { Button, Group, Switch } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback, useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { scopeName } from '~/components/scope-fields'
import { confirm } from '~/ui/confirm'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { Status } from '~/ui/status'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { words } from '~/util/format'
import { changed } from '~/util/search-params'
import { KeyDialog } from './key-dialog'

type Key = Schemas['Key']
const route = getRouteApi('/inside/keys')

export default function KeysPage() {
  const search = route.useSearch()
  const navigate = useNavigate()
  const user = useUser()
  const [adding, setAdding] = useState(false)
  const all = search.all === 'true' && user.role === 'administrator'
  const { grid } = useList<Key>({
    queryKey: [...keys.apiKeys, search.q, all],
    page: (cursor, signal) =>
      body(
        api.GET('/api/keys', {
          params: { query: { q: search.q, all: all ? 'true' : undefined, cursor, limit: 200 } },
          signal,
        }),
      ),
  })
  const change = useCallback(
    (change: { q?: string; all?: string }) =>
      void navigate({
        to: '/keys',
        search: before => changed(before as typeof change, change),
        replace: true,
      }),
    [navigate],
  )
  const setQ = useCallback((q: string) => change({ q }), [change])
  const revoke = (key: Key) =>
    confirm({
      title: `Revoke ${key.name}?`,
      text: 'What uses it stops at once, and its sessions end. It does not come back.',
      verb: 'Revoke',
      danger: true,
      act: async () => {
        await body(api.DELETE('/api/keys/{id}', { params: { path: { id: key.id } } }))
        await queries.invalidateQueries({ queryKey: keys.apiKeys })
      },
    })
  const columns: GridColumn<Key>[] = [
    { id: 'state', header: 'State', width: '96px', cell: key => <KeyState of={key} /> },
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(160px, 2fr)',
      cell: key => <strong>{key.name}</strong>,
    },
    { id: 'user', header: 'Of', width: 'minmax(160px, 1.5fr)', cell: key => key.user_email },
    { id: 'role', header: 'Role', width: '120px', cell: key => words(key.role) },
    { id: 'scope', header: 'Sees', width: '140px', cell: key => scopeName(key.scope) },
    {
      id: 'used',
      header: 'Last used',
      width: '110px',
      cell: key => <Time at={key.last_used_at} />,
    },
    { id: 'ends', header: 'Ends', width: '110px', cell: key => <Time at={key.expires_at} /> },
    {
      id: 'actions',
      header: 'Actions',
      width: '90px',
      end: true,
      cell: key =>
        !key.revoked_at && (
          <Button size="compact-xs" variant="default" onClick={() => revoke(key)}>
            Revoke…
          </Button>
        ),
    },
  ]
  return (
    <Page title="API keys" fill actions={<Button onClick={() => setAdding(true)}>New key</Button>}>
      <Group gap="md">
        <SearchBox label="Search keys" value={search.q ?? ''} onChange={setQ} slash />
        {user.role === 'administrator' && (
          <Switch
            label="Everybody’s"
            checked={all}
            onChange={event => change({ all: event.currentTarget.checked ? 'true' : '' })}
          />
        )}
      </Group>
      <Grid
        {...grid}
        label="API keys"
        columns={columns}
        rowKey={keyId}
        empty={
          <Empty
            title={search.q ? 'No key fits' : 'No keys yet'}
            text="Scripts and programs use the API with a key, with at most your rights."
          />
        }
      />
      {adding && <KeyDialog onClose={() => setAdding(false)} />}
    </Page>
  )
}

const keyId = (key: Key) => key.id

function KeyState({ of }: { of: Key }) {
  if (of.revoked_at) return <Status tone="idle">revoked</Status>
  if (of.expires_at && Date.parse(of.expires_at) < Date.now())
    return <Status tone="idle">expired</Status>
  return <Status tone="good">active</Status>
}
