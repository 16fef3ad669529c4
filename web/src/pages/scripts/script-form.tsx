import {
  Button,
  Group,
  NumberInput,
  Select,
  SimpleGrid,
  Switch,
  Textarea,
  TextInput,
} from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { ApiError } from '~/api/problem'
import { keys, queries } from '~/api/queries'
import { COMMAND_TYPES } from '~/components/run-dialog/command-types'
import { Card } from '~/ui/card'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Page } from '~/ui/page'
import { told } from '~/ui/toast'
import { ParameterEditor } from './parameter-editor'

type Script = Schemas['Script']

export function ScriptForm({ script, etag }: { script: Script | null; etag: string | null }) {
  const navigate = useNavigate()
  const mayNot = useHindrance('writeScripts')
  const [version, setVersion] = useState(etag)
  const [name, setName] = useState(script?.name ?? '')
  const [description, setDescription] = useState(script?.description ?? '')
  const [type, setType] = useState(
    typeof script?.command_type === 'string' ? script.command_type : 'shell',
  )
  const [text, setText] = useState(script?.body ?? '')
  const [timeout, setTimeoutSeconds] = useState<number | string>(script?.timeout_seconds ?? '')
  const [elevated, setElevated] = useState(script?.elevated ?? false)
  const [parameters, setParameters] = useState(script?.parameters ?? [])
  const save = useMutation({
    mutationFn: async () => {
      const next: Schemas['NewScript'] = {
        name,
        description,
        command_type: type as 'shell',
        body: text,
        timeout_seconds: timeout === '' ? undefined : Number(timeout),
        elevated,
        parameters,
      }
      if (!script)
        return { saved: await body(api.POST('/api/scripts', { body: next })), etag: null }
      const answer = await api.PUT('/api/scripts/{id}', {
        params: { path: { id: script.id }, header: version ? { 'If-Match': version } : undefined },
        body: next,
      })
      return {
        saved: await body(Promise.resolve(answer)),
        etag: answer.response.headers.get('etag'),
      }
    },
    onSuccess: ({ saved, etag }) => {
      setVersion(etag)
      void queries.invalidateQueries({ queryKey: [...keys.scripts, 'list'] })
      void queries.invalidateQueries({ queryKey: [...keys.scripts, 'all'] })
      told(`${saved.name} is saved`)
      if (!script)
        void navigate({ to: '/scripts/$scriptId', params: { scriptId: saved.id }, replace: true })
    },
  })
  const remove = () =>
    confirm({
      title: `Delete ${script?.name}?`,
      text: 'Schedules that run it are deleted too. Jobs that ran it keep what they did.',
      verb: 'Delete',
      danger: true,
      act: async () => {
        await body(
          api.DELETE('/api/scripts/{id}', {
            params: { path: { id: script?.id ?? '' }, query: { cascade: true } as never },
          }),
        )
        void queries.invalidateQueries({ queryKey: keys.scripts })
        void navigate({ to: '/scripts' })
      },
    })
  const problem = save.error instanceof ApiError ? save.error : null
  const at = (field: string) => (problem?.field === field ? problem.message : undefined)
  return (
    <Page
      title={script?.name ?? 'New script'}
      actions={
        !mayNot && (
          <>
            {script && (
              <Button variant="default" c="var(--grmm-bad)" onClick={remove}>
                Delete…
              </Button>
            )}
            <Button form="script" type="submit" loading={save.isPending}>
              Save
            </Button>
          </>
        )
      }
    >
      <ErrorNote error={save.error} />
      <form
        id="script"
        onSubmit={event => {
          event.preventDefault()
          save.mutate()
        }}
      >
        <fieldset
          disabled={Boolean(mayNot)}
          style={{ border: 0, padding: 0, margin: 0, display: 'grid', gap: 10 }}
        >
          <Card>
            <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm">
              <TextInput
                label="Name"
                required
                maxLength={100}
                value={name}
                error={at('name')}
                onChange={event => setName(event.currentTarget.value)}
              />
              <TextInput
                label="Description"
                maxLength={1000}
                value={description}
                error={at('description')}
                onChange={event => setDescription(event.currentTarget.value)}
              />
              <Select
                label="Kind"
                data={COMMAND_TYPES}
                value={type}
                onChange={value => setType((value ?? 'shell') as 'shell')}
                allowDeselect={false}
              />
              <Group align="end" gap="md">
                <NumberInput
                  label="Time-out, in seconds"
                  placeholder="300"
                  min={1}
                  max={86_400}
                  value={timeout}
                  error={at('timeout_seconds')}
                  onChange={setTimeoutSeconds}
                />
                <Switch
                  label="Elevated"
                  checked={elevated}
                  onChange={event => setElevated(event.currentTarget.checked)}
                  mb={6}
                />
              </Group>
            </SimpleGrid>
          </Card>
          <Card title="Parameters">
            <ParameterEditor parameters={parameters} onChange={setParameters} type={type} />
          </Card>
          <Card title="Text">
            <Textarea
              aria-label="Text of the script"
              required
              autosize
              minRows={12}
              maxRows={30}
              spellCheck={false}
              styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
              value={text}
              error={at('body')}
              onChange={event => setText(event.currentTarget.value)}
            />
          </Card>
        </fieldset>
      </form>
    </Page>
  )
}
