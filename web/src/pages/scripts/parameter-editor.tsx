import {
  ActionIcon,
  Button,
  Code,
  Group,
  Select,
  Stack,
  Switch,
  Text,
  TextInput,
} from '@mantine/core'
import type { Schemas } from '~/api/client'
import { Icon } from '~/ui/icons'

type Parameter = Schemas['ScriptParameter']

interface ParameterEditorProps {
  parameters: Parameter[]
  onChange: (parameters: Parameter[]) => void
  type: string
}

const MOST = 32
const NAME = /^[A-Za-z_]\w{0,63}$/

/** What the script is asked for when it runs; it reads the values from its environment. */
export function ParameterEditor({ parameters, onChange, type }: ParameterEditorProps) {
  const change = (at: number, change: Partial<Parameter>) =>
    onChange(parameters.map((one, index) => (index === at ? { ...one, ...change } : one)))
  return (
    <Stack gap="xs">
      {parameters.map((parameter, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: names are being typed, places stay
        <Group key={at} gap="xs" align="end" wrap="wrap">
          <TextInput
            label="Name"
            w={150}
            required
            value={parameter.name}
            error={parameter.name && !NAME.test(parameter.name) ? 'letters, digits, _' : undefined}
            onChange={event => change(at, { name: event.currentTarget.value })}
          />
          <Select
            label="Kind"
            w={110}
            data={['text', 'number', 'boolean', 'choice']}
            value={parameter.kind ?? 'text'}
            onChange={kind => change(at, { kind: kind as Parameter['kind'], default: undefined })}
            allowDeselect={false}
          />
          {parameter.kind === 'choice' && (
            <TextInput
              label="Choices, with commas"
              w={190}
              value={(parameter.choices ?? []).join(',')}
              onChange={event => change(at, { choices: event.currentTarget.value.split(',') })}
            />
          )}
          {parameter.kind !== 'boolean' && (
            <TextInput
              label="Default"
              w={130}
              value={
                parameter.default === undefined || parameter.default === null
                  ? ''
                  : String(parameter.default)
              }
              onChange={event =>
                change(at, {
                  default: defaultOf(parameter.kind, event.currentTarget.value) as never,
                })
              }
            />
          )}
          <TextInput
            label="Description"
            w={220}
            value={parameter.description ?? ''}
            onChange={event => change(at, { description: event.currentTarget.value })}
          />
          <Switch
            label="Required"
            mb={6}
            checked={parameter.required ?? false}
            onChange={event => change(at, { required: event.currentTarget.checked })}
          />
          <ActionIcon
            mb={2}
            aria-label={`Remove ${parameter.name || 'parameter'}`}
            onClick={() => onChange(parameters.filter((_, index) => index !== at))}
          >
            <Icon name="trash" />
          </ActionIcon>
        </Group>
      ))}
      {parameters.some(one => NAME.test(one.name)) && (
        <Text size="xs" c="dimmed">
          The text reads them as{' '}
          {parameters
            .filter(one => NAME.test(one.name))
            .map(one => (
              <Code key={one.name} mr={4}>
                {environment(type, one.name)}
              </Code>
            ))}
          and never gets them put into itself.
        </Text>
      )}
      {parameters.length < MOST && (
        <Group>
          <Button
            variant="default"
            onClick={() => onChange([...parameters, { name: '', kind: 'text' }])}
          >
            Add a parameter
          </Button>
        </Group>
      )}
    </Stack>
  )
}

function environment(type: string, name: string): string {
  const variable = `GURURMM_${name.toUpperCase()}`
  if (type === 'powershell') return `$env:${variable}`
  if (type === 'python') return `os.environ["${variable}"]`
  return `"$${variable}"`
}

function defaultOf(kind: Parameter['kind'], text: string): unknown {
  if (text === '') return undefined
  const number = Number(text)
  return kind === 'number' && !Number.isNaN(number) ? number : text
}
