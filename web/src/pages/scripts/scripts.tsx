import { Button, Group } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys } from '~/api/queries'
import { typeName } from '~/components/run-dialog/command-types'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link, LinkButton } from '~/ui/link'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { changed } from '~/util/search-params'

const NewJob = lazy(() => import('~/pages/jobs/new-job'))

type Script = Schemas['Script']
const route = getRouteApi('/inside/scripts')

export default function ScriptsPage() {
  const search = route.useSearch()
  const navigate = useNavigate()
  const [run, setRun] = useState<string | null>(null)
  const mayNotWrite = useHindrance('writeScripts')
  const mayNotRun = useHindrance('runJob')
  const sort = search.sort ?? 'name'
  const { grid } = useList<Script>({
    queryKey: [...keys.scripts, 'list', search.q, sort],
    page: (cursor, signal) =>
      body(
        api.GET('/api/scripts', {
          params: { query: { q: search.q, sort: sort as 'name', cursor, limit: 200 } },
          signal,
        }),
      ),
  })
  const change = useCallback(
    (change: { q?: string; sort?: string }) =>
      void navigate({
        to: '/scripts',
        search: before => changed(before as typeof change, change),
        replace: true,
      }),
    [navigate],
  )
  const setQ = useCallback((q: string) => change({ q }), [change])
  const columns: GridColumn<Script>[] = [
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(180px, 1.5fr)',
      sort: 'name',
      cell: script => (
        <Link to="/scripts/$scriptId" params={{ scriptId: script.id }} fw={600} tabIndex={-1}>
          {script.name}
        </Link>
      ),
    },
    {
      id: 'description',
      header: 'Description',
      width: 'minmax(200px, 3fr)',
      cell: script => script.description,
    },
    { id: 'type', header: 'Kind', width: '130px', cell: script => typeName(script.command_type) },
    {
      id: 'parameters',
      header: 'Parameters',
      width: '96px',
      end: true,
      cell: script => script.parameters.length || '',
    },
    {
      id: 'updated',
      header: 'Changed',
      width: '120px',
      sort: 'updated',
      cell: script => <Time at={script.updated_at} />,
    },
    {
      id: 'run',
      header: 'Actions',
      width: '84px',
      end: true,
      cell: script =>
        !mayNotRun && (
          <Button size="compact-xs" variant="default" onClick={() => setRun(script.id)}>
            Run…
          </Button>
        ),
    },
  ]
  return (
    <Page
      title="Scripts"
      fill
      actions={
        !mayNotWrite && (
          <LinkButton to="/scripts/$scriptId" params={{ scriptId: 'new' }} variant="filled">
            New script
          </LinkButton>
        )
      }
    >
      <Group>
        <SearchBox label="Search scripts" value={search.q ?? ''} onChange={setQ} slash />
      </Group>
      <Grid
        {...grid}
        label="Scripts"
        columns={columns}
        rowKey={scriptKey}
        sort={sort}
        onSort={sort => change({ sort })}
        onOpen={({ id }) => void navigate({ to: '/scripts/$scriptId', params: { scriptId: id } })}
        empty={
          <Empty
            title={search.q ? 'No script fits' : 'No scripts yet'}
            text="What is run again and again is kept here, with its parameters."
          />
        }
      />
      <Suspense>{run && <NewJob scriptId={run} onClose={() => setRun(null)} />}</Suspense>
    </Page>
  )
}

const scriptKey = (script: Script) => script.id
