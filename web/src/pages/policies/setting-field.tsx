import { MultiSelect, NumberInput, Select, Switch, Textarea } from '@mantine/core'
import { useState } from 'react'
import type { Schemas } from '~/api/client'
import { words } from '~/util/format'
import { fromPatterns, fromServices, lines, toPatterns, toServices } from './lines'
import type { Setting } from './settings'

interface SettingFieldProps {
  setting: Setting
  value: unknown
  onChange: (value: unknown) => void
  error?: string
}

const ROLES = ['administrator', 'technician', 'read_only'].map(value => ({
  value,
  label: words(value),
}))

/** The field for one setting that this policy says. */
export function SettingField({ setting, value, onChange, error }: SettingFieldProps) {
  const label = setting.label
  switch (setting.kind) {
    case 'number':
      return (
        <NumberInput
          aria-label={label}
          error={error}
          w={150}
          min={setting.min}
          max={setting.max}
          suffix={setting.unit ? ` ${setting.unit}` : undefined}
          value={(value as number) ?? ''}
          onChange={next => onChange(next === '' ? undefined : Number(next))}
        />
      )
    case 'switch':
      return (
        <Switch
          aria-label={label}
          error={error}
          label={value ? 'yes' : 'no'}
          checked={Boolean(value)}
          onChange={event => onChange(event.currentTarget.checked)}
        />
      )
    case 'choice':
      return (
        <Select
          aria-label={label}
          error={error}
          w={190}
          data={setting.choices.map(choice => ({ value: choice, label: words(choice) }))}
          value={(value as string) ?? null}
          allowDeselect={false}
          onChange={onChange}
        />
      )
    case 'roles':
      return (
        <MultiSelect
          aria-label={label}
          error={error}
          w={320}
          data={ROLES}
          placeholder={(value as string[])?.length ? undefined : 'nobody'}
          value={(value as string[]) ?? []}
          onChange={onChange}
        />
      )
    case 'lines':
      return (
        <LinesField
          label={label}
          error={error}
          hint={setting.hint}
          text={((value as string[]) ?? []).join('\n')}
          onChange={text => onChange(lines(text))}
        />
      )
    case 'patterns':
      return (
        <LinesField
          label={label}
          error={error}
          hint="One a line: systemctl * · a regular expression after re:"
          text={fromPatterns((value as Schemas['CommandPattern'][]) ?? [])}
          onChange={text => onChange(toPatterns(text))}
        />
      )
    case 'services':
      return (
        <LinesField
          label={label}
          error={error}
          hint="One a line: NAME restart|alert|ignore MOST_RESTARTS COOLDOWN_SECONDS"
          text={fromServices((value as Schemas['WatchedService'][]) ?? [])}
          onChange={text => onChange(toServices(text))}
        />
      )
  }
}

interface LinesFieldProps {
  label: string
  hint: string
  error?: string
  text: string
  onChange: (text: string) => void
}

/** Keeps what is typed, as empty lines and spaces at an end are none in what it stands for. */
function LinesField({ label, hint, error, text, onChange }: LinesFieldProps) {
  const [typed, setTyped] = useState(text)
  return (
    <Textarea
      aria-label={label}
      description={hint}
      inputWrapperOrder={['input', 'description', 'error']}
      error={error}
      autosize
      minRows={2}
      maxRows={10}
      w={420}
      maw="100%"
      spellCheck={false}
      value={typed}
      onChange={event => {
        setTyped(event.currentTarget.value)
        onChange(event.currentTarget.value)
      }}
    />
  )
}
