import { Button, Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { hindrance } from '~/api/actions'
import { api, body } from '~/api/client'
import { useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { RecordingPlayer } from '~/terminal'
import { Card } from '~/ui/card'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { Page } from '~/ui/page'
import { Time } from '~/ui/time'
import { bytes, duration, words } from '~/util/format'
import { plain } from '~/util/untrusted'
import { Program } from './program'

const route = getRouteApi('/inside/recordings/$recordingId')

export default function RecordingPage() {
  const { recordingId } = route.useParams()
  const user = useUser()
  const navigate = useNavigate()
  const asked = useQuery({
    queryKey: [...keys.recordings, recordingId],
    queryFn: () => body(api.GET('/api/recordings/{id}', { params: { path: { id: recordingId } } })),
  })
  const recording = asked.data
  const remove = () =>
    confirm({
      title: 'Delete this recording?',
      text: 'What was shown is gone for good; that it was there, and its hash, stay in the audit.',
      verb: 'Delete',
      danger: true,
      act: async () => {
        await body(api.DELETE('/api/recordings/{id}', { params: { path: { id: recordingId } } }))
        void queries.invalidateQueries({ queryKey: keys.recordings })
        void navigate({ to: '/recordings' })
      },
    })
  return (
    <Page
      title={recording ? `Recording of ${plain(recording.agent_hostname, 60)}` : 'Recording'}
      actions={
        recording &&
        !hindrance('deleteRecording', user, recording) && (
          <Button variant="default" c="var(--grmm-bad)" onClick={remove}>
            Delete…
          </Button>
        )
      }
    >
      <ErrorNote error={recording ? null : asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={420} />}
      {recording && (
        <>
          {recording.state === 'deleted' ? null : <RecordingPlayer recordingId={recordingId} />}
          <Card title="About it">
            <Facts
              items={[
                [
                  'Device',
                  <DeviceName key="d" id={recording.agent_id} name={recording.agent_hostname} />,
                ],
                ['Technician', recording.tech_email],
                ['Program', <Program key="p" name={recording.program} />],
                ['State', words(recording.state)],
                ['Started', <Time key="s" at={recording.started_at} />],
                ['Length', recording.duration_ms ? duration(recording.duration_ms / 1000) : '–'],
                ['Size', bytes(recording.bytes)],
                ['With what was typed', recording.with_input ? 'yes' : 'no'],
                ['Kept until', <Time key="k" at={recording.keep_until} />],
                ['SHA-256', <code key="h">{recording.sha256 ?? '–'}</code>],
                ...(recording.problem
                  ? ([['Problem', plain(recording.problem, 200)]] as [string, string][])
                  : []),
              ]}
            />
          </Card>
        </>
      )}
    </Page>
  )
}
