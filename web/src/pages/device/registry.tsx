import { Anchor, Breadcrumbs, Button, Group, Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { SessionGate } from '~/components/session-gate'
import { Card } from '~/ui/card'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Icon } from '~/ui/icons'
import { Link } from '~/ui/link'
import { Table } from '~/ui/table'
import { plain } from '~/util/untrusted'
import { parents, shownData } from './registry-data'
import { RegistryValueDialog } from './registry-value'
import { useDevice } from './use-device'

type Value = Schemas['RegistryValue']

const route = getRouteApi('/inside/devices/$agentId/registry')
const HIVES = ['HKLM', 'HKCU', 'HKU', 'HKCR', 'HKCC']

export default function RegistryPage() {
  const { agentId } = route.useParams()
  const agent = useDevice(agentId).data
  if (!agent) return null
  return (
    <SessionGate agent={agent} what="registry">
      {sessionId => <Registry agentId={agentId} sessionId={sessionId} />}
    </SessionGate>
  )
}

function Registry({ agentId, sessionId }: { agentId: string; sessionId: string }) {
  const { key } = route.useSearch()
  const [edited, setEdited] = useState<Value | 'new' | null>(null)
  const asked = useQuery({
    queryKey: ['registry', sessionId, key],
    queryFn: () =>
      body(
        api.GET('/api/v1/tunnel/{session_id}/registry', {
          params: { path: { session_id: sessionId }, query: { key } as never },
        }),
      ),
    enabled: Boolean(key),
  })
  const to = (next?: string) =>
    ({ to: '/devices/$agentId/registry', params: { agentId }, search: { key: next } }) as const
  const remove = (value: Value) =>
    confirm({
      title: `Delete the value ${plain(value.name, 60) || '(default)'}?`,
      text: 'What it was is kept in the audit, so that it can be put back.',
      verb: 'Delete',
      danger: true,
      act: async () => {
        await body(
          api.DELETE('/api/v1/tunnel/{session_id}/registry', {
            params: { path: { session_id: sessionId }, query: { key, name: value.name } as never },
          }),
        )
        await asked.refetch()
      },
    })
  return (
    <Stack gap="xs" style={{ overflow: 'auto', flex: 1, minHeight: 0 }}>
      <Group justify="space-between">
        <Breadcrumbs separator="\">
          <Link {...to()}>Registry</Link>
          {parents(key).map(([name, path]) => (
            <Link key={path} {...to(path)}>
              {plain(name, 60)}
            </Link>
          ))}
        </Breadcrumbs>
        {key && (
          <Group gap="xs">
            <Anchor
              href={`/api/v1/tunnel/${sessionId}/registry/export?key=${encodeURIComponent(key)}`}
              download
            >
              Export as .reg
            </Anchor>
            <Button variant="default" onClick={() => setEdited('new')}>
              New value
            </Button>
          </Group>
        )}
      </Group>
      <ErrorNote error={asked.error} retry={() => void asked.refetch()} />
      <Card title="Keys">
        <Table
          label="Keys"
          head={['Name']}
          rows={(key ? (asked.data?.keys ?? []) : HIVES).map(name => ({
            key: name,
            cells: [
              <Link key="name" {...to(key ? `${key}\\${name}` : name)}>
                <Icon name="chevron" size={12} /> {plain(name, 120)}
              </Link>,
            ],
          }))}
          none={asked.isFetching ? 'Loading…' : 'No keys in it.'}
        />
      </Card>
      {key && (
        <Card title="Values">
          <Table
            label="Values"
            head={['Name', 'Type', 'Data', 'Actions']}
            rows={(asked.data?.values ?? []).map(value => ({
              key: value.name,
              cells: [
                plain(value.name, 120) || '(default)',
                value.type,
                <code key="data">{plain(shownData(value), 300)}</code>,
                <Group key="actions" gap={4} wrap="nowrap">
                  <Button size="compact-xs" variant="default" onClick={() => setEdited(value)}>
                    Edit
                  </Button>
                  <Button size="compact-xs" variant="default" onClick={() => remove(value)}>
                    Delete…
                  </Button>
                </Group>,
              ],
            }))}
            none="No values in it."
          />
        </Card>
      )}
      {key && edited && (
        <RegistryValueDialog
          sessionId={sessionId}
          registryKey={key}
          value={edited === 'new' ? null : edited}
          onClose={() => setEdited(null)}
          onSaved={() => void asked.refetch()}
        />
      )}
    </Stack>
  )
}
