import { Button, Stack } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import { useHindrance } from '~/api/me'
import { Page } from '~/ui/page'
import { Releases } from './releases'
import { Rollouts } from './rollouts'

const RolloutDialog = lazy(() => import('./rollout-dialog'))

/** Which programs of the agent there are, and how they get to the devices. */
export default function UpdatesPage() {
  const [rolling, setRolling] = useState(false)
  const mayNot = useHindrance('manageUpdates')
  return (
    <Page
      title="Updates"
      actions={!mayNot && <Button onClick={() => setRolling(true)}>New rollout</Button>}
    >
      <Stack gap="sm">
        <Rollouts />
        <Releases />
      </Stack>
      <Suspense>{rolling && <RolloutDialog onClose={() => setRolling(false)} />}</Suspense>
    </Page>
  )
}
