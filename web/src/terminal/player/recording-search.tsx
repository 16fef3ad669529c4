import { Button, Group, Text, TextInput, Title } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { ErrorNote } from '~/ui/error-note'
import { plural } from '~/util/format'
import { MomentList } from './moment-list'
import { type Moment, search } from './moments'

interface Props {
  recordingId: string
  onSeek: (time: number) => void
}

/** Finds what a terminal has shown. Each search is in the audit, so it is made when it is asked for. */
export function RecordingSearch({ recordingId, onSeek }: Props) {
  const [text, setText] = useState('')
  const [found, setFound] = useState<Moment[]>([])
  const asked = useMutation({
    mutationFn: (from?: number) => search(recordingId, text, from),
    onSuccess: (answer, from) => {
      setFound(before => (from === undefined ? answer.moments : [...before, ...answer.moments]))
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (text) asked.mutate(undefined)
  }
  const next = asked.data?.next
  return (
    <section>
      <form onSubmit={submit}>
        <Title order={3} mb={6}>
          Search
        </Title>
        <Group gap="xs" wrap="nowrap">
          <TextInput
            flex={1}
            aria-label="Search in the recording"
            placeholder="Text that was shown"
            maxLength={200}
            value={text}
            onChange={event => setText(event.currentTarget.value)}
          />
          <Button type="submit" variant="default" loading={asked.isPending}>
            Find
          </Button>
        </Group>
      </form>
      <ErrorNote error={asked.error} title="It could not be searched" />
      {asked.isSuccess && (
        <Text size="xs" c="dimmed" my={6} role="status">
          {found.length === 0
            ? 'Not shown in this recording.'
            : plural(found.length, 'match', 'matches')}
        </Text>
      )}
      {found.length > 0 && <MomentList moments={found} onSeek={onSeek} />}
      {next !== undefined && (
        <Button variant="subtle" onClick={() => asked.mutate(next)} loading={asked.isPending}>
          Search on
        </Button>
      )}
    </section>
  )
}
