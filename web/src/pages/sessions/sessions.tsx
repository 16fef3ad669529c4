import { Stack } from '@mantine/core'
import { useHindrance } from '~/api/me'
import { Card } from '~/ui/card'
import { Page } from '~/ui/page'
import { OwnSessions } from './own-sessions'
import { PastSessions } from './past-sessions'
import { SessionTabs } from './session-tabs'

export default function SessionsPage() {
  const mayNotSee = useHindrance('seeAudit')
  return (
    <Page title="Sessions" heading={<SessionTabs />}>
      <Stack gap="sm">
        <Card title="Your open sessions">
          <OwnSessions />
        </Card>
        {!mayNotSee && (
          <Card title="Everybody’s sessions, newest first">
            <PastSessions />
          </Card>
        )}
      </Stack>
    </Page>
  )
}
