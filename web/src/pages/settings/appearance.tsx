import { SegmentedControl, Stack, Switch, useMantineColorScheme } from '@mantine/core'
import { Card } from '~/ui/card'
import { singleKeys, switchSingleKeys } from '~/util/single-keys'
import { useStore } from '~/util/store'

export function Appearance() {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const single = useStore(singleKeys)
  return (
    <Card title="In this browser">
      <Stack gap="sm" align="flex-start">
        <SegmentedControl
          aria-label="Appearance"
          value={colorScheme}
          onChange={value => setColorScheme(value as 'auto')}
          data={[
            { value: 'auto', label: 'As the system' },
            { value: 'light', label: 'Light' },
            { value: 'dark', label: 'Dark' },
          ]}
        />
        <Switch
          label="Single letters are commands (j, k, x, /, ?)"
          checked={single}
          onChange={event => switchSingleKeys(event.currentTarget.checked)}
        />
      </Stack>
    </Card>
  )
}
