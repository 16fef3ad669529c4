import { SimpleGrid } from '@mantine/core'
import { Page } from '~/ui/page'
import { Account } from './account'
import { Appearance } from './appearance'
import { Health } from './health'
import { Versions } from './versions'

export default function SettingsPage() {
  return (
    <Page title="Settings & health">
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm">
        <Health />
        <Versions />
        <Account />
        <Appearance />
      </SimpleGrid>
    </Page>
  )
}
