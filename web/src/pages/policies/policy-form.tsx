import { Button, Group, Select, Text, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { useClients } from '~/api/places'
import { ApiError } from '~/api/problem'
import { keys, queries } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { SitePicker } from '~/components/site-picker'
import { Card } from '~/ui/card'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Page } from '~/ui/page'
import { told } from '~/ui/toast'
import type { Settings } from './settings'
import { SettingsForm } from './settings-form'
import { TargetName } from './target-name'

interface PolicyFormProps {
  policy: Schemas['Policy'] | null
  etag: string | null
  level?: string
  target?: string
}

export function PolicyForm({
  policy,
  etag,
  level: firstLevel = 'default',
  target: firstTarget,
}: PolicyFormProps) {
  const navigate = useNavigate()
  const mayNot = useHindrance('writePolicies')
  const clients = useClients()
  const [version, setVersion] = useState(etag)
  const [name, setName] = useState(policy?.name ?? '')
  const [level, setLevel] = useState(firstLevel)
  const [target, setTarget] = useState<string | null>(firstTarget ?? null)
  const [settings, setSettings] = useState<Settings>(policy?.settings ?? {})
  const save = useMutation({
    mutationFn: async () => {
      if (!policy) {
        const place = level === 'default' ? {} : { [`${level}_id`]: target }
        return {
          saved: await body(api.POST('/api/policies', { body: { name, settings, ...place } })),
          etag: null,
        }
      }
      const answer = await api.PUT('/api/policies/{id}', {
        params: { path: { id: policy.id }, header: version ? { 'If-Match': version } : undefined },
        body: { name, settings },
      })
      return {
        saved: await body(Promise.resolve(answer)),
        etag: answer.response.headers.get('etag'),
      }
    },
    onSuccess: ({ saved, etag }) => {
      setVersion(etag)
      void queries.invalidateQueries({ queryKey: [...keys.policies, 'list'] })
      void queries.invalidateQueries({ queryKey: [...keys.policies, 'of'] })
      told(`${saved.name} is saved; devices that are connected know it already`)
      if (!policy)
        void navigate({
          to: '/policies/$policyId',
          params: { policyId: saved.id },
          search: {},
          replace: true,
        })
    },
  })
  const remove = () =>
    confirm({
      title: `Delete ${policy?.name}?`,
      text: 'Its devices inherit what it said from wider policies, or from their own configuration.',
      verb: 'Delete',
      danger: true,
      act: async () => {
        await body(api.DELETE('/api/policies/{id}', { params: { path: { id: policy?.id ?? '' } } }))
        void queries.invalidateQueries({ queryKey: [...keys.policies, 'list'] })
        void navigate({ to: '/policies' })
      },
    })
  const problem = save.error instanceof ApiError ? save.error : null
  const at = (path: string) =>
    problem?.field &&
    (problem.field === path ||
      problem.field.startsWith(`settings.${path}`) ||
      problem.field.startsWith(path))
      ? problem.message
      : undefined
  return (
    <Page
      title={policy?.name ?? 'New policy'}
      actions={
        !mayNot && (
          <>
            {policy && (
              <Button variant="default" c="var(--grmm-bad)" onClick={remove}>
                Delete…
              </Button>
            )}
            <Button
              form="policy"
              type="submit"
              loading={save.isPending}
              disabled={!policy && level !== 'default' && !target}
            >
              Save
            </Button>
          </>
        )
      }
    >
      <ErrorNote error={save.error} />
      <form
        id="policy"
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
            <Group align="start" gap="sm">
              <TextInput
                label="Name"
                required
                maxLength={100}
                w={260}
                value={name}
                error={at('name')}
                onChange={event => setName(event.currentTarget.value)}
              />
              {policy ? (
                <div>
                  <Text size="xs" fw={500}>
                    For
                  </Text>
                  <Text size="sm" mt={6}>
                    <TargetName target={policy} />
                  </Text>
                </div>
              ) : (
                <>
                  <Select
                    label="For"
                    w={150}
                    data={[
                      { value: 'default', label: 'all devices' },
                      { value: 'client', label: 'a client' },
                      { value: 'site', label: 'a site' },
                      ...(firstLevel === 'agent' ? [{ value: 'agent', label: 'one device' }] : []),
                    ]}
                    value={level}
                    allowDeselect={false}
                    onChange={next => {
                      setLevel(next ?? 'default')
                      setTarget(next === firstLevel ? (firstTarget ?? null) : null)
                    }}
                  />
                  {level === 'client' && (
                    <Select
                      label="Client"
                      required
                      searchable
                      data={clients.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
                      value={target}
                      onChange={setTarget}
                    />
                  )}
                  {level === 'site' && <SitePicker value={target} onChange={setTarget} />}
                  {level === 'agent' && target && (
                    <Text size="sm" mt={26}>
                      <DeviceName id={target} />
                    </Text>
                  )}
                </>
              )}
            </Group>
          </Card>
          <SettingsForm settings={settings} onChange={setSettings} at={at} />
        </fieldset>
      </form>
    </Page>
  )
}
