import { Title, VisuallyHidden } from '@mantine/core'
import { Link as RouterLink } from '@tanstack/react-router'
import { TabLinks, tab } from '~/ui/tab-links'

export function SessionTabs() {
  return (
    <>
      <VisuallyHidden>
        <Title order={1}>Sessions and recordings</Title>
      </VisuallyHidden>
      <TabLinks label="Sessions and recordings">
        <RouterLink {...tab} to="/sessions">
          Sessions
        </RouterLink>
        <RouterLink {...tab} to="/recordings" activeOptions={{ includeSearch: false }}>
          Recordings
        </RouterLink>
      </TabLinks>
    </>
  )
}
