import { Button, Group } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { lazy, Suspense, useMemo, useState } from 'react'
import { useHindrance } from '~/api/me'
import { CommandGrid } from '~/pages/jobs/command-grid'
import { useDevice } from './use-device'

const RunDialog = lazy(() => import('~/components/run-dialog/run-dialog'))
const route = getRouteApi('/inside/devices/$agentId')

export default function DeviceCommandsPage() {
  const { agentId } = route.useParams()
  const agent = useDevice(agentId).data
  const filter = useMemo(() => ({ agent_id: agentId }), [agentId])
  const [running, setRunning] = useState(false)
  const why = useHindrance('runCommand', agent as never)
  return (
    <>
      <Group>
        <Button disabled={Boolean(why)} title={why ?? undefined} onClick={() => setRunning(true)}>
          Run a command
        </Button>
      </Group>
      <CommandGrid
        filter={filter}
        empty="Nothing was run on this device yet, outside of sessions."
      />
      <Suspense>
        {running && (
          <RunDialog
            filter={{ agent_ids: [agentId] }}
            count={1}
            onClose={() => setRunning(false)}
          />
        )}
      </Suspense>
    </>
  )
}
