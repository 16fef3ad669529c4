import { SegmentedControl } from '@mantine/core'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { Page } from '~/ui/page'
import { CommandGrid } from './command-grid'
import { WorkTabs } from './work-tabs'

const route = getRouteApi('/inside/commands')

export default function CommandsPage() {
  const { status } = route.useSearch()
  const navigate = useNavigate()
  const filter = useMemo(() => ({ status }), [status])
  return (
    <Page title="Commands" fill heading={<WorkTabs />}>
      <SegmentedControl
        aria-label="State"
        style={{ alignSelf: 'flex-start' }}
        value={status ?? ''}
        onChange={next =>
          void navigate({ to: '/commands', search: { status: next || undefined }, replace: true })
        }
        data={[
          { value: '', label: 'All' },
          { value: 'pending', label: 'Waiting' },
          { value: 'running', label: 'Running' },
          { value: 'completed', label: 'Completed' },
          { value: 'failed', label: 'Failed' },
        ]}
      />
      <CommandGrid filter={filter} />
    </Page>
  )
}
