import { Checkbox, Text } from '@mantine/core'
import { Card } from '~/ui/card'
import { SettingField } from './setting-field'
import { GROUPS, read, type Setting, type Settings, write } from './settings'
import classes from './settings-form.module.css'

interface SettingsFormProps {
  settings: Settings
  onChange: (settings: Settings) => void
  at: (path: string) => string | undefined
}

/** Each setting is inherited until its box is ticked; then this policy says it. */
export function SettingsForm({ settings, onChange, at }: SettingsFormProps) {
  return GROUPS.map(group => (
    <Card key={group.name} title={group.name}>
      <div className={classes.settings}>
        {group.settings.map(setting => {
          const value = read(settings, setting.path)
          const set = value !== undefined
          return (
            <div key={setting.path} className={classes.setting}>
              <Checkbox
                label={setting.label}
                description={setting.help}
                checked={set}
                onChange={event =>
                  onChange(
                    write(
                      settings,
                      setting.path,
                      event.currentTarget.checked ? beginning(setting) : undefined,
                    ),
                  )
                }
              />
              {set ? (
                <SettingField
                  setting={setting}
                  value={value}
                  error={at(setting.path)}
                  onChange={next => onChange(write(settings, setting.path, next))}
                />
              ) : (
                <Text size="xs" c="dimmed">
                  inherited
                </Text>
              )}
            </div>
          )
        })}
      </div>
    </Card>
  ))
}

/** What a setting says first once it is set here. */
function beginning(setting: Setting): unknown {
  switch (setting.kind) {
    case 'number':
      return Math.max(setting.min, Math.min(60, setting.max))
    case 'switch':
      return true
    case 'choice':
      return setting.choices[0]
    case 'roles':
      return ['administrator', 'technician']
    default:
      return []
  }
}
