import { Title, VisuallyHidden } from '@mantine/core'
import { Link as RouterLink } from '@tanstack/react-router'
import { TabLinks, tab } from '~/ui/tab-links'

export function InventoryTabs() {
  return (
    <>
      <VisuallyHidden>
        <Title order={1}>Software and inventory</Title>
      </VisuallyHidden>
      <TabLinks label="Software and inventory">
        <RouterLink {...tab} to="/software" activeOptions={{ includeSearch: false }}>
          Software
        </RouterLink>
        <RouterLink {...tab} to="/inventory" activeOptions={{ includeSearch: false }}>
          Everything
        </RouterLink>
      </TabLinks>
    </>
  )
}
