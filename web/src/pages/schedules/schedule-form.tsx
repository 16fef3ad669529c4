import {
  Autocomplete,
  Button,
  NumberInput,
  SegmentedControl,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  Textarea,
  TextInput,
} from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance, useUser } from '~/api/me'
import { ApiError } from '~/api/problem'
import { keys, queries } from '~/api/queries'
import { COMMAND_TYPES } from '~/components/run-dialog/command-types'
import { ParameterFields } from '~/components/run-dialog/parameter-fields'
import { useScripts } from '~/components/run-dialog/use-scripts'
import { TargetFields } from '~/components/target-fields'
import { Card } from '~/ui/card'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Page } from '~/ui/page'
import { told } from '~/ui/toast'
import { asSaved, owns } from './change'
import { Runs } from './runs'

type Schedule = Schemas['Schedule']
type NewSchedule = Schemas['NewSchedule']

const FIRST: NewSchedule = {
  name: '',
  cron: '0 3 * * *',
  time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
  when_offline: 'skip',
  filter: {},
  enabled: true,
  command: '',
  command_type: 'shell',
}

const ZONES = Intl.supportedValuesOf('timeZone')

export function ScheduleForm({
  schedule,
  etag,
}: {
  schedule: Schedule | null
  etag: string | null
}) {
  const navigate = useNavigate()
  const user = useUser()
  const scripts = useScripts()
  const mayNotWrite = useHindrance('writeSchedules')
  const locked = Boolean(mayNotWrite) || (schedule !== null && !owns(user, schedule))
  const [version, setVersion] = useState(etag)
  const [form, setForm] = useState<NewSchedule>(schedule ? asSaved(schedule) : FIRST)
  const set = (change: Partial<NewSchedule>) => setForm(before => ({ ...before, ...change }))
  const scripted = form.script_id !== undefined && form.script_id !== null
  const script = scripts.data?.find(one => one.id === form.script_id)
  const save = useMutation({
    mutationFn: async () => {
      if (!schedule)
        return { saved: await body(api.POST('/api/schedules', { body: form })), etag: null }
      const answer = await api.PUT('/api/schedules/{id}', {
        params: {
          path: { id: schedule.id },
          header: (version ? { 'If-Match': version } : undefined) as never,
        },
        body: form,
      })
      return {
        saved: await body(Promise.resolve(answer)),
        etag: answer.response.headers.get('etag'),
      }
    },
    onSuccess: ({ saved, etag }) => {
      setVersion(etag)
      void queries.invalidateQueries({ queryKey: [...keys.schedules, 'list'] })
      told(`${saved.name} is saved`)
      void navigate({ to: '/schedules' })
    },
  })
  const remove = () =>
    confirm({
      title: `Delete ${schedule?.name}?`,
      text: 'It runs no more. What it ran stays in the jobs.',
      verb: 'Delete',
      danger: true,
      act: async () => {
        await body(
          api.DELETE('/api/schedules/{id}', { params: { path: { id: schedule?.id ?? '' } } }),
        )
        void queries.invalidateQueries({ queryKey: keys.schedules })
        void navigate({ to: '/schedules' })
      },
    })
  const problem = save.error instanceof ApiError ? save.error : null
  const at = (field: string) => (problem?.field === field ? problem.message : undefined)
  return (
    <Page
      title={schedule?.name ?? 'New schedule'}
      actions={
        !locked && (
          <>
            {schedule && (
              <Button variant="default" c="var(--grmm-bad)" onClick={remove}>
                Delete…
              </Button>
            )}
            <Button form="schedule" type="submit" loading={save.isPending}>
              Save
            </Button>
          </>
        )
      }
    >
      <ErrorNote error={save.error} />
      <form
        id="schedule"
        onSubmit={event => {
          event.preventDefault()
          save.mutate()
        }}
      >
        <fieldset
          disabled={locked}
          style={{ border: 0, padding: 0, margin: 0, display: 'grid', gap: 10 }}
        >
          <Card title="When">
            <SimpleGrid cols={{ base: 1, sm: 2, md: 4 }} spacing="sm">
              <TextInput
                label="Name"
                required
                maxLength={100}
                value={form.name}
                error={at('name')}
                onChange={event => set({ name: event.currentTarget.value })}
              />
              <TextInput
                label="Times (cron)"
                description="minute hour day month weekday, or @daily"
                required
                spellCheck={false}
                value={form.cron}
                error={at('cron')}
                onChange={event => set({ cron: event.currentTarget.value })}
              />
              <Autocomplete
                size="xs"
                label="Time zone"
                required
                limit={50}
                data={ZONES}
                value={form.time_zone}
                error={at('time_zone')}
                onChange={time_zone => set({ time_zone })}
              />
              <Select
                label="Devices that are away"
                data={[
                  { value: 'skip', label: 'are left out' },
                  { value: 'wait', label: 'get it when they come back' },
                ]}
                value={form.when_offline}
                allowDeselect={false}
                onChange={value => set({ when_offline: (value ?? 'skip') as 'skip' })}
              />
            </SimpleGrid>
            <Switch
              mt="sm"
              label="On"
              checked={form.enabled ?? true}
              onChange={event => set({ enabled: event.currentTarget.checked })}
            />
          </Card>
          <Card title="For which devices">
            <TargetFields value={form.filter} onChange={filter => set({ filter })} />
          </Card>
          <Card title="What">
            <Stack gap="sm">
              <SegmentedControl
                aria-label="What to run"
                value={scripted ? 'script' : 'command'}
                onChange={value =>
                  set(
                    value === 'script'
                      ? {
                          script_id: '',
                          command: undefined,
                          command_type: undefined,
                          parameters: {} as never,
                        }
                      : {
                          script_id: undefined,
                          parameters: undefined,
                          command: '',
                          command_type: 'shell',
                        },
                  )
                }
                data={[
                  { value: 'command', label: 'A command' },
                  { value: 'script', label: 'A saved script' },
                ]}
              />
              {scripted ? (
                <>
                  <Select
                    label="Script"
                    required
                    searchable
                    data={scripts.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
                    value={form.script_id || null}
                    error={at('script_id')}
                    onChange={script_id =>
                      set({ script_id: script_id ?? '', parameters: {} as never })
                    }
                  />
                  {script && (
                    <ParameterFields
                      parameters={script.parameters}
                      values={(form.parameters ?? {}) as Record<string, unknown>}
                      onChange={parameters => set({ parameters: parameters as never })}
                      error={save.error}
                    />
                  )}
                </>
              ) : (
                <>
                  <Select
                    label="Kind"
                    data={COMMAND_TYPES}
                    value={typeof form.command_type === 'string' ? form.command_type : 'shell'}
                    allowDeselect={false}
                    onChange={value => set({ command_type: (value ?? 'shell') as 'shell' })}
                  />
                  <Textarea
                    label="Command"
                    required
                    autosize
                    minRows={3}
                    maxRows={16}
                    spellCheck={false}
                    styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
                    value={form.command ?? ''}
                    error={at('command')}
                    onChange={event => set({ command: event.currentTarget.value })}
                  />
                </>
              )}
              <NumberInput
                label="Time-out, in seconds"
                w={180}
                placeholder="300"
                min={1}
                max={86_400}
                value={form.timeout_seconds ?? ''}
                error={at('timeout_seconds')}
                onChange={value =>
                  set({ timeout_seconds: value === '' ? undefined : Number(value) })
                }
              />
            </Stack>
          </Card>
        </fieldset>
      </form>
      {schedule && <Runs schedule={schedule} />}
    </Page>
  )
}
