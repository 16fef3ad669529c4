import { Button, Skeleton } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import { api, body } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { Card } from '~/ui/card'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Status } from '~/ui/status'
import { Table } from '~/ui/table'
import { Time } from '~/ui/time'
import { told } from '~/ui/toast'
import { bytes } from '~/util/format'
import { type Release, useReleases } from './use-updates'

const AddRelease = lazy(() => import('./add-release'))

/** Programs that were signed and added, and until when agents install them. */
export function Releases() {
  const { rows, grid } = useReleases()
  const mayNot = useHindrance('manageUpdates')
  const [adding, setAdding] = useState(false)
  return (
    <Card
      title="Releases"
      actions={
        !mayNot && (
          <Button variant="default" onClick={() => setAdding(true)}>
            Add a release…
          </Button>
        )
      }
    >
      <ErrorNote error={grid.error} retry={grid.retry} />
      {!rows && !grid.error && <Skeleton height={80} />}
      {rows && (
        <Table
          label="Releases"
          head={[
            'Version',
            'Platform',
            'Channel',
            'Size',
            'Signed',
            'Expires',
            'Added',
            ...(mayNot ? [] : ['Actions']),
          ]}
          rows={rows.map(release => ({
            key: release.id,
            cells: [
              release.downgrade ? `${release.version}, a downgrade` : release.version,
              release.platform,
              release.channel,
              bytes(release.size_bytes),
              <Time key="signed" at={release.released_at} />,
              <Expiry key="expires" release={release} />,
              <Time key="added" at={release.added_at} />,
              ...(mayNot
                ? []
                : [
                    <Button
                      key="delete"
                      size="compact-xs"
                      variant="default"
                      aria-label={`Delete ${nameOf(release)}…`}
                      onClick={() => remove(release)}
                    >
                      Delete…
                    </Button>,
                  ]),
            ],
          }))}
          none="No releases yet. Add a release says how a program of the agent is signed and added."
        />
      )}
      {grid.more.has && (
        <Button mt="xs" variant="default" loading={grid.more.busy} onClick={grid.more.fetch}>
          Older releases
        </Button>
      )}
      <Suspense>{adding && <AddRelease onClose={() => setAdding(false)} />}</Suspense>
    </Card>
  )
}

function Expiry({ release }: { release: Release }) {
  if (!release.expired) return <Time at={release.expires_at} />
  return (
    <Status tone="warn">
      expired <Time at={release.expires_at} />
    </Status>
  )
}

const nameOf = ({ version, platform, channel }: Release) => `${version} ${platform} (${channel})`

function remove(release: Release): void {
  confirm({
    title: `Delete ${nameOf(release)}?`,
    text: 'No device gets it any more, neither by a rollout nor by an installation. Devices that run it go on. It comes back by being added anew.',
    verb: 'Delete',
    danger: true,
    act: async () => {
      await body(api.DELETE('/api/releases/{id}', { params: { path: { id: release.id } } }))
      await queries.invalidateQueries({ queryKey: keys.releases })
      told(`${nameOf(release)} is deleted`)
    },
  })
}
