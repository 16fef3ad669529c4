import { Button, Group, Select } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback, useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useUser } from '~/api/me'
import { keys } from '~/api/queries'
import { ROLES } from '~/components/roles'
import { scopeName } from '~/components/scope-fields'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { Status } from '~/ui/status'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { words } from '~/util/format'
import { changed } from '~/util/search-params'
import { UserDialog } from './user-dialog'
import { UserMenu } from './user-menu'

export type User = Schemas['User']
const route = getRouteApi('/inside/users')

export default function UsersPage() {
  const search = route.useSearch()
  const navigate = useNavigate()
  const me = useUser()
  const [edited, setEdited] = useState<User | 'new' | null>(null)
  const sort = search.sort ?? 'email'
  const { grid } = useList<User>({
    queryKey: [...keys.users, search.q, search.role, sort],
    page: (cursor, signal) =>
      body(
        api.GET('/api/users', {
          params: {
            query: {
              q: search.q,
              role: search.role as 'technician',
              sort: sort as 'email',
              cursor,
              limit: 200,
            },
          },
          signal,
        }),
      ),
  })
  const change = useCallback(
    (change: { q?: string; sort?: string; role?: string }) =>
      void navigate({
        to: '/users',
        search: before => changed(before as typeof change, change),
        replace: true,
      }),
    [navigate],
  )
  const setQ = useCallback((q: string) => change({ q }), [change])
  const columns: GridColumn<User>[] = [
    {
      id: 'state',
      header: 'State',
      width: '100px',
      cell: user =>
        user.disabled ? <Status tone="idle">disabled</Status> : <Status tone="good">active</Status>,
    },
    {
      id: 'email',
      header: 'E-mail',
      width: 'minmax(170px, 2fr)',
      sort: 'email',
      cell: user => <strong>{user.email}</strong>,
    },
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(110px, 1.5fr)',
      sort: 'name',
      cell: user => user.name,
    },
    { id: 'role', header: 'Role', width: '120px', cell: user => words(user.role) },
    { id: 'scope', header: 'Sees', width: '130px', cell: user => scopeName(user.scope) },
    {
      id: 'login',
      header: 'Last log-in',
      width: '120px',
      cell: user => <Time at={user.last_login_at} />,
    },
    {
      id: 'created',
      header: 'Added',
      width: '110px',
      sort: 'created',
      cell: user => <Time at={user.created_at} />,
    },
    {
      id: 'actions',
      header: 'Actions',
      width: '84px',
      end: true,
      cell: user => (
        <UserMenu user={user} self={user.id === me.id} onEdit={() => setEdited(user)} />
      ),
    },
  ]
  return (
    <Page title="Users" fill actions={<Button onClick={() => setEdited('new')}>New user</Button>}>
      <Group gap="xs">
        <SearchBox label="Search users" value={search.q ?? ''} onChange={setQ} slash />
        <Select
          aria-label="Role"
          placeholder="All roles"
          clearable
          data={ROLES}
          value={search.role ?? null}
          onChange={role => change({ role: role ?? '' })}
        />
      </Group>
      <Grid
        {...grid}
        label="Users"
        columns={columns}
        rowKey={userKey}
        sort={sort}
        onSort={sort => change({ sort })}
        onOpen={setEdited}
        empty={<Empty title="No user fits" />}
      />
      {edited && (
        <UserDialog user={edited === 'new' ? null : edited} onClose={() => setEdited(null)} />
      )}
    </Page>
  )
}

const userKey = (user: User) => user.id
