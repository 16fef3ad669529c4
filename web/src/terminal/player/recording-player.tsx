import 'asciinema-player/dist/bundle/asciinema-player.css'
import { Button, Group, Skeleton, Stack, Switch, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { keys } from '~/api/queries'
import { ErrorNote } from '~/ui/error-note'
import { Icon } from '~/ui/icons'
import { downloadCast } from './download-cast'
import { MomentList } from './moment-list'
import { fetchMarks } from './moments'
import classes from './player.module.css'
import { RecordingSearch } from './recording-search'
import { fetchCast, usePlayer } from './use-player'

/** Pauses are cut to so many seconds. */
const IDLE_LIMIT = 2
const NO_MARKS: never[] = []

export default function RecordingPlayer({ recordingId }: { recordingId: string }) {
  const place = useRef<HTMLDivElement>(null)
  const [skipIdle, setSkipIdle] = useState(true)
  const cast = useQuery({
    queryKey: [...keys.recordings, recordingId, 'cast'],
    queryFn: () => fetchCast(recordingId),
    // A recording may be large, and each look at it is in the audit.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    refetchOnWindowFocus: false,
  })
  const marks = useQuery({
    queryKey: [...keys.recordings, recordingId, 'marks'],
    queryFn: () => fetchMarks(recordingId),
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  })
  const player = usePlayer(place, cast.data, {
    idleLimit: skipIdle ? IDLE_LIMIT : undefined,
    marks: marks.data ?? NO_MARKS,
  })
  const seek = (time: number) => void player?.seek(time)
  const [problem, setProblem] = useState<unknown>(null)
  return (
    <div className={classes.player}>
      <Stack gap="xs" className={classes.stage}>
        <ErrorNote
          error={cast.error}
          title="The recording cannot be shown"
          retry={() => void cast.refetch()}
        />
        {cast.isPending && <Skeleton height={380} />}
        <div ref={place} data-testid="recording" />
        <Group justify="space-between">
          <Switch
            label="Skip pauses"
            checked={skipIdle}
            onChange={event => setSkipIdle(event.currentTarget.checked)}
          />
          <Button
            variant="default"
            leftSection={<Icon name="download" />}
            onClick={() => downloadCast(recordingId).catch(setProblem)}
          >
            Download .cast
          </Button>
        </Group>
        <ErrorNote error={problem} title="The recording could not be downloaded" />
      </Stack>
      <div className={classes.side}>
        <RecordingSearch recordingId={recordingId} onSeek={seek} />
        {marks.data && marks.data.length > 0 && (
          <section>
            <Title order={3} mb={6}>
              Marks
            </Title>
            <MomentList moments={marks.data} onSeek={seek} />
          </section>
        )}
        {marks.error && (
          <Text size="xs" c="dimmed">
            Its marks cannot be shown.
          </Text>
        )}
      </div>
    </div>
  )
}
