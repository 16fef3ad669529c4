import { NumberInput, Select, Switch, TextInput } from '@mantine/core'
import type { Schemas } from '~/api/client'
import { ApiError } from '~/api/problem'

interface ParameterFieldsProps {
  parameters: Schemas['ScriptParameter'][]
  values: Record<string, unknown>
  onChange: (values: Record<string, unknown>) => void
  error: unknown
}

/** A field for each parameter that a script declares; what is left empty is not given. */
export function ParameterFields({ parameters, values, onChange, error }: ParameterFieldsProps) {
  const give = (name: string, value: unknown) => {
    const next = { ...values, [name]: value }
    if (value === '' || value === null || value === undefined) delete next[name]
    onChange(next)
  }
  return parameters.map(parameter => {
    const { name, kind } = parameter
    const problem =
      error instanceof ApiError && error.field === `parameters.${name}` ? error.message : undefined
    const common = {
      label: name,
      description: parameter.description || undefined,
      required: parameter.required && parameter.default === undefined,
      error: problem,
      placeholder:
        parameter.default === undefined || parameter.default === null
          ? undefined
          : String(parameter.default),
    }
    switch (kind) {
      case 'number':
        return (
          <NumberInput
            key={name}
            {...common}
            value={(values[name] as number) ?? ''}
            onChange={value => give(name, value === '' ? '' : Number(value))}
          />
        )
      case 'boolean':
        return (
          <Switch
            key={name}
            label={name}
            description={common.description}
            error={problem}
            checked={Boolean(values[name] ?? parameter.default)}
            onChange={event => give(name, event.currentTarget.checked)}
          />
        )
      case 'choice':
        return (
          <Select
            key={name}
            {...common}
            clearable
            data={parameter.choices ?? []}
            value={(values[name] as string) ?? null}
            onChange={value => give(name, value)}
          />
        )
      default:
        return (
          <TextInput
            key={name}
            {...common}
            maxLength={4096}
            value={(values[name] as string) ?? ''}
            onChange={event => give(name, event.currentTarget.value)}
          />
        )
    }
  })
}
