import { Title, VisuallyHidden } from '@mantine/core'
import { Link as RouterLink } from '@tanstack/react-router'
import { TabLinks, tab } from '~/ui/tab-links'

export function WorkTabs() {
  return (
    <>
      <VisuallyHidden>
        <Title order={1}>Jobs and commands</Title>
      </VisuallyHidden>
      <TabLinks label="Jobs and commands">
        <RouterLink {...tab} to="/jobs">
          Jobs
        </RouterLink>
        <RouterLink {...tab} to="/commands" activeOptions={{ includeSearch: false }}>
          Commands
        </RouterLink>
      </TabLinks>
    </>
  )
}
