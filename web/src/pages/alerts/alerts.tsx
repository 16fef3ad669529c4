import { Group, SegmentedControl, Select } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { Page } from '~/ui/page'
import { AlertGrid } from './alert-grid'

const route = getRouteApi('/inside/alerts')

export default function AlertsPage() {
  const { status = 'unresolved', severity } = route.useSearch()
  const navigate = useNavigate()
  const change = (change: { status?: string; severity?: string }) =>
    void navigate({ to: '/alerts', search: { status, severity, ...change }, replace: true })
  return (
    <Page title="Alerts" fill>
      <Group gap="xs">
        <SegmentedControl
          aria-label="State"
          value={status}
          onChange={next => change({ status: next })}
          data={[
            { value: 'unresolved', label: 'Unresolved' },
            { value: 'open', label: 'Open' },
            { value: 'acknowledged', label: 'Acknowledged' },
            { value: 'resolved', label: 'Resolved' },
          ]}
        />
        <Select
          aria-label="Severity"
          placeholder="All severities"
          clearable
          data={['critical', 'warning', 'info']}
          value={severity ?? null}
          onChange={next => change({ severity: next ?? undefined })}
        />
      </Group>
      <AlertGrid status={status} severity={severity} />
    </Page>
  )
}
