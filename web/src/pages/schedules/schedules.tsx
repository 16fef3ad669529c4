import { Button, Group, Switch } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance, useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link, LinkButton } from '~/ui/link'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { Time } from '~/ui/time'
import { failed, told } from '~/ui/toast'
import { useList } from '~/ui/use-list'
import { words } from '~/util/format'
import { changed } from '~/util/search-params'
import { owns, runNow, setEnabled } from './change'

export type Schedule = Schemas['Schedule']
const route = getRouteApi('/inside/schedules')

export default function SchedulesPage() {
  const search = route.useSearch()
  const navigate = useNavigate()
  const user = useUser()
  const mayNot = useHindrance('writeSchedules')
  const sort = search.sort ?? 'name'
  const { grid } = useList<Schedule>({
    queryKey: [...keys.schedules, 'list', search.q, sort],
    page: (cursor, signal) =>
      body(
        api.GET('/api/schedules', {
          params: { query: { q: search.q, sort: sort as 'name', cursor, limit: 200 } },
          signal,
        }),
      ),
  })
  const change = useCallback(
    (change: { q?: string; sort?: string }) =>
      void navigate({
        to: '/schedules',
        search: before => changed(before as typeof change, change),
        replace: true,
      }),
    [navigate],
  )
  const setQ = useCallback((q: string) => change({ q }), [change])
  const again = () => void queries.invalidateQueries({ queryKey: keys.schedules })
  const toggle = async (schedule: Schedule, enabled: boolean) => {
    try {
      await setEnabled(schedule, enabled)
      told(`${schedule.name} is ${enabled ? 'on' : 'off'}`, () => void toggle(schedule, !enabled))
    } catch (error) {
      failed(error, `${schedule.name} was not changed`)
    }
    again()
  }
  const run = async (schedule: Schedule) => {
    try {
      const made = await runNow(schedule.id)
      told(`${schedule.name}: ${words(made.outcome)}`)
      if (made.job_id) void navigate({ to: '/jobs/$jobId', params: { jobId: made.job_id } })
    } catch (error) {
      failed(error, `${schedule.name} was not run`)
    }
    again()
  }
  const columns: GridColumn<Schedule>[] = [
    {
      id: 'enabled',
      header: 'On',
      width: '60px',
      cell: schedule => (
        <Switch
          size="xs"
          aria-label={`${schedule.name} is on`}
          checked={schedule.enabled}
          disabled={Boolean(mayNot) || !owns(user, schedule)}
          onChange={event => void toggle(schedule, event.currentTarget.checked)}
        />
      ),
    },
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(180px, 2fr)',
      sort: 'name',
      cell: schedule => (
        <Link
          to="/schedules/$scheduleId"
          params={{ scheduleId: schedule.id }}
          fw={600}
          tabIndex={-1}
        >
          {schedule.name}
        </Link>
      ),
    },
    {
      id: 'cron',
      header: 'When',
      width: 'minmax(150px, 1fr)',
      cell: schedule => <code>{schedule.cron}</code>,
    },
    { id: 'zone', header: 'Time zone', width: '140px', cell: schedule => schedule.time_zone },
    {
      id: 'next',
      header: 'Next',
      width: '110px',
      cell: schedule => (schedule.enabled ? <Time at={schedule.next_runs[0]} /> : 'off'),
    },
    {
      id: 'last',
      header: 'Last run',
      width: '200px',
      cell: ({ last_run }) =>
        last_run ? (
          <>
            {words(last_run.outcome)} <Time at={last_run.started_at ?? last_run.due_at} />
          </>
        ) : (
          'never'
        ),
    },
    {
      id: 'actions',
      header: 'Actions',
      width: '96px',
      end: true,
      cell: schedule =>
        !mayNot &&
        owns(user, schedule) && (
          <Button size="compact-xs" variant="default" onClick={() => void run(schedule)}>
            Run now
          </Button>
        ),
    },
  ]
  return (
    <Page
      title="Schedules"
      fill
      actions={
        !mayNot && (
          <LinkButton to="/schedules/$scheduleId" params={{ scheduleId: 'new' }} variant="filled">
            New schedule
          </LinkButton>
        )
      }
    >
      <Group>
        <SearchBox label="Search schedules" value={search.q ?? ''} onChange={setQ} slash />
      </Group>
      <Grid
        {...grid}
        label="Schedules"
        columns={columns}
        rowKey={scheduleKey}
        sort={sort}
        onSort={sort => change({ sort })}
        onOpen={({ id }) =>
          void navigate({ to: '/schedules/$scheduleId', params: { scheduleId: id } })
        }
        empty={
          <Empty
            title={search.q ? 'No schedule fits' : 'No schedules yet'}
            text="A schedule runs a command or a script at its times, with the rights of whoever saved it."
          />
        }
      />
    </Page>
  )
}

const scheduleKey = (schedule: Schedule) => schedule.id
