import { Alert, Button, Group, Skeleton, Stack, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { hindrance } from '~/api/actions'
import { api, body, type Schemas } from '~/api/client'
import { useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { usePolling } from '~/components/live-line'
import { Card } from '~/ui/card'
import { confirm } from '~/ui/confirm'
import { ErrorNote, sentence } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { Link } from '~/ui/link'
import { Page } from '~/ui/page'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { failed, told } from '~/ui/toast'
import { count, duration, plural, words } from '~/util/format'
import { RolloutState } from './rollout-state'
import { WaveProgress } from './wave-progress'
import { nextWaveAt, placeOf } from './wave-words'

type Rollout = Schemas['RolloutWithProgress']

const route = getRouteApi('/inside/updates/$rolloutId')

/** One rollout: how far each wave is, and what may be done about it. */
export default function RolloutPage() {
  const { rolloutId } = route.useParams()
  const asked = useQuery({
    queryKey: keys.rollout(rolloutId),
    queryFn: () => body(api.GET('/api/rollouts/{id}', { params: { path: { id: rolloutId } } })),
    refetchInterval: usePolling(5000),
  })
  const rollout = asked.data
  const name = rollout ? `Rollout of ${rollout.version}` : 'Rollout'
  return (
    <Page
      title={name}
      heading={
        rollout && (
          <Group gap="sm">
            <Title order={1}>{name}</Title>
            <RolloutState state={rollout.state} />
            <Text span c="dimmed">
              <Link to="/updates" underline="always">
                Updates
              </Link>
            </Text>
          </Group>
        )
      }
      actions={rollout && <Acts rollout={rollout} />}
    >
      <ErrorNote error={rollout ? null : asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={200} />}
      {rollout && <Parts rollout={rollout} />}
    </Page>
  )
}

type Act = 'pause' | 'resume' | 'stop' | 'advance'

async function change(rollout: Rollout, act: Act): Promise<void> {
  const asked = { params: { path: { id: rollout.id } } }
  if (act === 'pause') await body(api.POST('/api/rollouts/{id}/pause', asked))
  else if (act === 'resume') await body(api.POST('/api/rollouts/{id}/resume', asked))
  else if (act === 'stop') await body(api.POST('/api/rollouts/{id}/stop', asked))
  else await body(api.POST('/api/rollouts/{id}/advance', asked))
  await queries.invalidateQueries({ queryKey: keys.rollouts })
}

function Acts({ rollout }: { rollout: Rollout }) {
  const user = useUser()
  const now = async (act: Act, done: string) => {
    try {
      await change(rollout, act)
      told(done)
    } catch (error) {
      failed(error, 'The rollout was not changed')
    }
  }
  const stop = () =>
    confirm({
      title: `Stop the rollout of ${rollout.version}?`,
      text: 'It is over for good: no further device gets it by this rollout. What was sent already ends, and devices that run it stay with it. To go on later, pause it instead.',
      verb: 'Stop the rollout',
      danger: true,
      act: () => change(rollout, 'stop'),
    })
  const advance = () => {
    const next = rollout.waves[rollout.wave] ?? 100
    confirm({
      title: `Begin the wave of ${next} % now?`,
      text: 'It does not wait for the time and the results of the wave that is under way.',
      verb: 'Begin the next wave',
      act: () => change(rollout, 'advance'),
    })
  }
  return (
    <>
      {!hindrance('pauseRollout', user, rollout) && (
        <Button variant="default" onClick={() => void now('pause', 'The rollout is paused')}>
          Pause
        </Button>
      )}
      {!hindrance('resumeRollout', user, rollout) && (
        <Button onClick={() => void now('resume', 'The rollout goes on')}>Resume</Button>
      )}
      {!hindrance('advanceRollout', user, rollout) && (
        <Button variant="default" onClick={advance}>
          Next wave…
        </Button>
      )}
      {!hindrance('stopRollout', user, rollout) && (
        <Button variant="default" onClick={stop}>
          Stop…
        </Button>
      )}
    </>
  )
}

function Parts({ rollout }: { rollout: Rollout }) {
  const next = nextWaveAt(rollout)
  const failures = Object.entries(rollout.failures).sort(([, a], [, b]) => b - a)
  return (
    <Stack gap="sm">
      {rollout.state === 'failed' && <Why reason={rollout.reason} />}
      <Card title="Waves">
        <Table
          label="Waves"
          head={['Wave', 'Up to', 'State', 'Devices']}
          rows={rollout.progress.map((wave, at) => ({
            key: String(wave.percent),
            cells: [
              `${at + 1}.`,
              `${wave.percent} %`,
              placeOf(at + 1, rollout),
              <WaveProgress key="progress" wave={wave} />,
            ],
          }))}
          none="It has no waves."
        />
        <Text size="xs" c="dimmed" mt="xs">
          Each without the devices of the waves before. Who is away gets it when it comes.
        </Text>
      </Card>
      {failures.length > 0 && (
        <Card title="Why updates failed">
          <Table
            label="Why updates failed"
            head={['Cause', 'Devices']}
            rows={failures.map(([code, number]) => ({
              key: code,
              cells: [words(code), count(number)],
            }))}
            none=""
          />
        </Card>
      )}
      <LeftOut rollout={rollout} />
      <Card title="Plan">
        <Facts
          items={[
            ['Version', rollout.version],
            ['Channel', rollout.channel],
            ['For', rollout.platform ?? 'all platforms'],
            ['A wave lasts at least', duration(rollout.soak_seconds)],
            ['It stops by itself above', `${rollout.max_failed_percent} % failed`],
            ['This wave began', <Time key="wave" at={rollout.wave_began_at} />],
            ...(next
              ? [
                  ['Next wave, at the earliest', <Time key="next" at={next} />] as [
                    string,
                    React.ReactNode,
                  ],
                ]
              : []),
            ['Begun', <Time key="begun" at={rollout.created_at} />],
            ['Ended', <Time key="ended" at={rollout.ended_at} none="not yet" />],
            ...(rollout.reason && rollout.state !== 'failed'
              ? [['Last change', rollout.reason] as [string, React.ReactNode]]
              : []),
          ]}
        />
      </Card>
    </Stack>
  )
}

/** It stopped by itself: the cause, and what now. */
function Why({ reason }: { reason: string | null | undefined }) {
  return (
    <Alert
      color="red"
      role="alert"
      title="It stopped by itself"
      styles={{
        root: { background: 'color-mix(in srgb, var(--grmm-bad) 9%, var(--grmm-surface))' },
        title: { color: 'var(--grmm-bad)' },
      }}
    >
      <Text size="sm">{sentence(reason ?? 'the server does not say why')}</Text>
      <Text size="sm">
        No further device gets it. Look at the devices where it failed, add a better release and
        begin a new rollout.
      </Text>
    </Alert>
  )
}

function LeftOut({ rollout }: { rollout: Rollout }) {
  const { without_capability, without_release } = rollout
  if (without_capability + without_release === 0) return null
  return (
    <Card title="Left out">
      {without_capability > 0 && (
        <Text size="sm">
          {plural(without_capability, 'device')} cannot check signatures. Install the agent anew
          there: Add device says the line.
        </Text>
      )}
      {without_release > 0 && (
        <Text size="sm">
          {plural(without_release, 'device')} run on a platform that this version has no release
          for. Add one, and they get it, too.
        </Text>
      )}
    </Card>
  )
}
