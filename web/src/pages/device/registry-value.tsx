import { Button, Group, Modal, Select, Stack, Textarea, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { ErrorNote } from '~/ui/error-note'
import { plain } from '~/util/untrusted'
import { parseData, shownData, TYPES, type ValueType } from './registry-data'

interface RegistryValueDialogProps {
  sessionId: string
  registryKey: string
  value: Schemas['RegistryValue'] | null
  onClose: () => void
  onSaved: () => void
}

export function RegistryValueDialog({
  sessionId,
  registryKey,
  value,
  onClose,
  onSaved,
}: RegistryValueDialogProps) {
  const [name, setName] = useState(value?.name ?? '')
  const [type, setType] = useState<ValueType>(
    value && value.type !== 'other' ? value.type : 'string',
  )
  const [text, setText] = useState(() =>
    !value
      ? ''
      : 'data' in value && typeof value.data === 'number'
        ? String(value.data)
        : shownData(value),
  )
  const parsed = parseData(type, text)
  const save = useMutation({
    mutationFn: async () => {
      if ('error' in parsed) return
      await body(
        api.PUT('/api/v1/tunnel/{session_id}/registry/value', {
          params: { path: { session_id: sessionId } },
          body: { key: registryKey, value: { name, ...parsed.data } },
        }),
      )
    },
    onSuccess: () => {
      onSaved()
      onClose()
    },
  })
  return (
    <Modal
      opened
      onClose={onClose}
      title={value ? `Edit ${plain(value.name, 60) || '(default)'}` : 'New value'}
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          if (!('error' in parsed)) save.mutate()
        }}
      >
        <Stack gap="sm">
          <TextInput
            label="Name"
            description="Empty: the key's default value"
            disabled={Boolean(value)}
            value={name}
            onChange={event => setName(event.currentTarget.value)}
          />
          <Select
            label="Type"
            data={[...TYPES]}
            value={type}
            onChange={next => setType((next ?? 'string') as ValueType)}
            allowDeselect={false}
          />
          <Textarea
            label="Data"
            description={type === 'multi_string' ? 'One text a line' : undefined}
            autosize
            minRows={type === 'multi_string' || type === 'binary' ? 4 : 1}
            maxRows={12}
            spellCheck={false}
            error={'error' in parsed && text ? parsed.error : undefined}
            value={text}
            onChange={event => setText(event.currentTarget.value)}
            data-autofocus
          />
          <ErrorNote error={save.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={save.isPending} disabled={'error' in parsed}>
              Save
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
