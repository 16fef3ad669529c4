import { Button } from '@mantine/core'
import { alsoAsk, api, body, type Schemas } from '~/api/client'
import { keys } from '~/api/queries'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { Link } from '~/ui/link'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { words } from '~/util/format'
import { absolute } from '~/util/time'

type Run = Schemas['ScheduleRun']

/** When it runs next, and what became of its runs. */
export function Runs({ schedule }: { schedule: Schemas['Schedule'] }) {
  const { rows, grid } = useList<Run>({
    queryKey: [...keys.schedules, schedule.id, 'runs'],
    page: cursor =>
      body(
        api.GET('/api/schedules/{id}/runs', {
          params: { path: { id: schedule.id }, query: alsoAsk({ limit: 50, cursor }) },
        }),
      ),
  })
  const owner = schedule.owner as { email?: string } | null | undefined
  return (
    <>
      <Card title="Next times">
        <Facts
          items={[
            ['With the rights of', owner?.email ?? 'nobody'],
            ...schedule.next_runs.map((at, index): [string, React.ReactNode] => [
              `${index + 1}.`,
              absolute(Date.parse(at)),
            ]),
          ]}
        />
      </Card>
      <Card title="Runs">
        <ErrorNote error={grid.error} retry={grid.retry} />
        <Table
          label="Runs"
          head={['Due', 'Outcome', 'Devices', 'Why', 'Job']}
          rows={(rows ?? []).map(run => {
            const counts = run.counts as Record<string, number>
            return {
              key: run.id,
              cells: [
                <Time key="due" at={run.due_at} />,
                words(run.outcome),
                `${counts.commands ?? 0} of ${counts.targets ?? 0}`,
                run.detail ?? '',
                run.job_id ? (
                  <Link key="job" to="/jobs/$jobId" params={{ jobId: run.job_id }}>
                    Show
                  </Link>
                ) : (
                  ''
                ),
              ],
            }
          })}
          none={rows ? 'It has not run yet.' : 'Loading…'}
        />
        {grid.more.has && (
          <Button mt="xs" variant="default" loading={grid.more.busy} onClick={grid.more.fetch}>
            Older runs
          </Button>
        )}
      </Card>
    </>
  )
}
