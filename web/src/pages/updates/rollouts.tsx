import { Button, Skeleton } from '@mantine/core'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Link } from '~/ui/link'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { RolloutState } from './rollout-state'
import { useRollouts } from './use-updates'
import { waveInWords } from './wave-words'

/** The ways of releases to the fleet, the newest first. */
export function Rollouts() {
  const { rows, grid } = useRollouts()
  return (
    <Card title="Rollouts">
      <ErrorNote error={grid.error} retry={grid.retry} />
      {!rows && !grid.error && <Skeleton height={80} />}
      {rows && (
        <Table
          label="Rollouts"
          head={['Version', 'State', 'Channel', 'For', 'Wave', 'Why', 'Begun', 'Ended']}
          rows={rows.map(rollout => ({
            key: rollout.id,
            cells: [
              <Link
                key="version"
                to="/updates/$rolloutId"
                params={{ rolloutId: rollout.id }}
                fw={600}
                underline="always"
              >
                {rollout.version}
              </Link>,
              <RolloutState key="state" state={rollout.state} />,
              rollout.channel,
              rollout.platform ?? 'all',
              waveInWords(rollout),
              rollout.reason ?? '',
              <Time key="begun" at={rollout.created_at} />,
              <Time key="ended" at={rollout.ended_at} none="" />,
            ],
          }))}
          none="No rollouts yet. One brings a release to the devices that follow its channel, wave by wave."
        />
      )}
      {grid.more.has && (
        <Button mt="xs" variant="default" loading={grid.more.busy} onClick={grid.more.fetch}>
          Older rollouts
        </Button>
      )}
    </Card>
  )
}
