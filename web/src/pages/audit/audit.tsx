import { Anchor, Group, Select, TextInput } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { Icon } from '~/ui/icons'
import { Page } from '~/ui/page'
import { SearchBox } from '~/ui/search-box'
import { changed } from '~/util/search-params'
import { AuditGrid } from './audit-grid'

const route = getRouteApi('/inside/audit')

const ACTIONS = [
  'session.',
  'user.',
  'key.',
  'client.',
  'site.',
  'agent.',
  'policy.',
  'job.',
  'command.',
  'tunnel.',
  'recording.',
  'alert.',
  'maintenance.',
  'notification.',
  'registration_token.',
  'access.',
  'watchdog.',
  'server.',
].map(value => ({ value, label: `${value}*` }))

export default function AuditPage() {
  const search = route.useSearch()
  const navigate = useNavigate()
  const change = useCallback(
    (change: Partial<typeof search>) =>
      void navigate({
        to: '/audit',
        search: before => changed(before as typeof search, change),
        replace: true,
      }),
    [navigate],
  )
  const filter = useMemo(
    () => ({
      q: search.q,
      action: search.action,
      outcome: search.outcome,
      from: moment(search.from),
      to: moment(search.to, true),
      agent_id: search.agent,
      user_id: search.user,
      session_id: search.session,
    }),
    [search],
  )
  const setQ = useCallback((q: string) => change({ q }), [change])
  const asked = new URLSearchParams(
    Object.entries(filter).filter((entry): entry is [string, string] => Boolean(entry[1])),
  )
  return (
    <Page
      title="Audit"
      fill
      actions={['csv', 'jsonl'].map(format => (
        <Anchor
          key={format}
          href={`/api/audit/export?${asked}&format=${format}`}
          download
          size="sm"
        >
          <Icon name="download" size={13} /> {format.toUpperCase()}
        </Anchor>
      ))}
    >
      <Group gap="xs">
        <SearchBox
          label="Search detail, e-mail, device"
          value={search.q ?? ''}
          onChange={setQ}
          slash
        />
        <Select
          aria-label="Action"
          placeholder="All actions"
          searchable
          clearable
          data={ACTIONS}
          value={search.action ?? null}
          onChange={action => change({ action: action ?? '' })}
        />
        <TextInput
          aria-label="From day"
          type="date"
          value={search.from ?? ''}
          onChange={event => change({ from: event.currentTarget.value })}
        />
        <TextInput
          aria-label="To day"
          type="date"
          value={search.to ?? ''}
          onChange={event => change({ to: event.currentTarget.value })}
        />
      </Group>
      <AuditGrid filter={filter} />
    </Page>
  )
}

/** A day of the calendar as a moment: its beginning, or its end. */
function moment(day: string | undefined, end = false): string | undefined {
  const at = new Date(`${day}T${end ? '23:59:59.999' : '00:00:00'}`)
  return day && !Number.isNaN(at.getTime()) ? at.toISOString() : undefined
}
