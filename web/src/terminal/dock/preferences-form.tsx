import { Group, NumberInput, Select, Stack, Switch } from '@mantine/core'
import { useStore } from '~/util/store'
import { prefer, preferences, THEME_NAMES, type ThemeName } from '../preferences'

const THEMES: Record<ThemeName, string> = {
  auto: 'As the page',
  dark: 'Dark',
  light: 'Light',
  solarized: 'Solarized',
  contrast: 'High contrast',
}

/** How terminals look on this machine. */
export function Preferences() {
  const { fontSize, theme, screenReader, gpu, askBeforePaste } = useStore(preferences)
  return (
    <Stack gap="sm">
      <Group grow gap="xs">
        <Select
          label="Theme"
          data={THEME_NAMES.map(value => ({ value, label: THEMES[value] }))}
          value={theme}
          onChange={value => value && prefer({ theme: value as ThemeName })}
          comboboxProps={{ withinPortal: false }}
          allowDeselect={false}
        />
        <NumberInput
          label="Font size"
          value={fontSize}
          min={8}
          max={32}
          onChange={value => prefer({ fontSize: Number(value) })}
        />
      </Group>
      <Switch
        label="Screen reader mode"
        checked={screenReader}
        onChange={event => prefer({ screenReader: event.currentTarget.checked })}
      />
      <Switch
        label="Ask before pasting lines"
        checked={askBeforePaste}
        onChange={event => prefer({ askBeforePaste: event.currentTarget.checked })}
      />
      <Switch
        label="Draw with the graphics card"
        checked={gpu}
        onChange={event => prefer({ gpu: event.currentTarget.checked })}
      />
    </Stack>
  )
}
