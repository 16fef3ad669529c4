import {
  Button,
  Group,
  Modal,
  NumberInput,
  SegmentedControl,
  Select,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { ErrorNote } from '~/ui/error-note'
import { plural } from '~/util/format'
import { COMMAND_TYPES } from './command-types'
import { ParameterFields } from './parameter-fields'
import { useScripts } from './use-scripts'

interface RunDialogProps {
  filter: Schemas['JobFilter']
  /** How many devices that are, where it is known. */
  count?: number
  scriptId?: string
  onClose: () => void
}

/** A command or a script for one device or many: a job, whose page shows what became of each. */
export default function RunDialog({ filter, count, scriptId, onClose }: RunDialogProps) {
  const navigate = useNavigate()
  const scripts = useScripts()
  const [from, setFrom] = useState<'command' | 'script'>(scriptId ? 'script' : 'command')
  const [name, setName] = useState('')
  const [command, setCommand] = useState('')
  const [type, setType] = useState('shell')
  const [script, setScript] = useState<string | null>(scriptId ?? null)
  const [values, setValues] = useState<Record<string, unknown>>({})
  const [timeout, setTimeoutSeconds] = useState<number | string>(300)
  const chosen = scripts.data?.find(one => one.id === script)
  const title =
    name.trim() ||
    (from === 'script' ? chosen?.name : command.split('\n')[0]?.slice(0, 60)) ||
    'Command'
  const run = useMutation({
    mutationFn: () =>
      body(
        api.POST('/api/jobs', {
          body: {
            name: title,
            filter,
            timeout_seconds: Number(timeout) || undefined,
            ...(from === 'script'
              ? { script_id: script, parameters: values as never }
              : { command, command_type: type as 'shell' }),
          },
        }),
      ),
    onSuccess: job => {
      void queries.invalidateQueries({ queryKey: keys.jobs })
      onClose()
      void navigate({ to: '/jobs/$jobId', params: { jobId: job.id } })
    },
  })
  const ready = from === 'script' ? Boolean(script) : command.trim() !== ''
  return (
    <Modal
      opened
      onClose={onClose}
      title={count ? `Run on ${plural(count, 'device')}` : 'Run'}
      size="lg"
      closeOnClickOutside={false}
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          if (ready) run.mutate()
        }}
      >
        <Stack gap="sm">
          <SegmentedControl
            aria-label="What to run"
            value={from}
            onChange={value => setFrom(value as 'command')}
            data={[
              { value: 'command', label: 'A command' },
              { value: 'script', label: 'A saved script' },
            ]}
          />
          {from === 'command' ? (
            <>
              <Select
                label="Kind"
                data={COMMAND_TYPES}
                value={type}
                onChange={value => setType(value ?? 'shell')}
                allowDeselect={false}
              />
              <Textarea
                label="Command"
                required
                autosize
                minRows={3}
                maxRows={12}
                spellCheck={false}
                styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
                value={command}
                onChange={event => setCommand(event.currentTarget.value)}
                data-autofocus
              />
            </>
          ) : (
            <>
              <Select
                label="Script"
                required
                searchable
                placeholder={scripts.isPending ? 'Loading…' : 'Choose'}
                data={scripts.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
                value={script}
                onChange={next => {
                  setScript(next)
                  setValues({})
                }}
              />
              {chosen && (
                <ParameterFields
                  parameters={chosen.parameters}
                  values={values}
                  onChange={setValues}
                  error={run.error}
                />
              )}
            </>
          )}
          <Group grow align="start">
            <TextInput
              label="Name of the job"
              placeholder={title}
              maxLength={100}
              value={name}
              onChange={event => setName(event.currentTarget.value)}
            />
            <NumberInput
              label="Time-out, in seconds"
              min={1}
              max={86_400}
              value={timeout}
              onChange={setTimeoutSeconds}
            />
          </Group>
          <Text size="xs" c="dimmed">
            Devices that are away get it when they come back, within a week.
          </Text>
          <ErrorNote error={run.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={run.isPending} disabled={!ready}>
              Run
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
