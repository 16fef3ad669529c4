import { Button, Group, Modal, NumberInput, Select, Text, TextInput } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, body } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { ErrorNote, sentence } from '~/ui/error-note'
import { FormDialog } from '~/ui/form-dialog'
import { duration } from '~/util/format'
import { type Channel, planInWords, platformsOf, readWaves, versionsOf, wholeNumber } from './plan'
import { type Release, useReleases, useRollouts } from './use-updates'

const MOST_SOAK_MINUTES = 43_200
const ALL = 'all'

/** What is brought to whom, and how fast; it is checked as one types. */
export default function RolloutDialog({ onClose }: { onClose: () => void }) {
  const { rows, grid } = useReleases()
  const channels = (['stable', 'beta'] as const).filter(
    channel => rows && versionsOf(rows, channel).length > 0,
  )
  const first = channels[0]
  if (rows && first) {
    return <RolloutForm releases={rows} channels={channels} first={first} onClose={onClose} />
  }
  return (
    <Modal opened onClose={onClose} title="New rollout">
      <ErrorNote error={grid.error} retry={grid.retry} />
      {rows && (
        <Text size="sm">
          There is no release that has not expired. Add one first: Add a release, on this page, says
          how.
        </Text>
      )}
      <Group justify="flex-end" mt="sm">
        <Button onClick={onClose}>Close</Button>
      </Group>
    </Modal>
  )
}

interface RolloutFormProps {
  releases: Release[]
  channels: Channel[]
  first: Channel
  onClose: () => void
}

function RolloutForm({ releases, channels, first, onClose }: RolloutFormProps) {
  const navigate = useNavigate()
  const open = useRollouts().rows?.filter(({ state }) => state === 'running' || state === 'paused')
  const [channel, setChannel] = useState<Channel>(first)
  const versions = versionsOf(releases, channel)
  const [chosen, setChosen] = useState<string | null>(null)
  const version = chosen && versions.includes(chosen) ? chosen : (versions[0] ?? '')
  const platforms = platformsOf(releases, channel, version)
  const [only, setOnly] = useState(ALL)
  const release = platforms.find(one => one.id === only)
  const [waves, setWaves] = useState('1, 10, 100')
  const [soak, setSoak] = useState<number | string>(60)
  const [mostFailed, setMostFailed] = useState<number | string>(5)

  const read = readWaves(waves)
  const soakMinutes = wholeNumber(soak, 0, MOST_SOAK_MINUTES)
  const percent = wholeNumber(mostFailed, 0, 100)
  const inTheWay = open?.find(one => one.channel === channel)
  const plan = 'waves' in read && soakMinutes !== null && percent !== null ? read.waves : null

  const save = async () => {
    if (!plan || soakMinutes === null || percent === null) return
    const made = await body(
      api.POST('/api/rollouts', {
        body: {
          ...(release ? { release_id: release.id } : { version, channel }),
          waves: plan,
          soak_seconds: soakMinutes * 60,
          max_failed_percent: percent,
        },
      }),
    )
    void queries.invalidateQueries({ queryKey: keys.rollouts })
    void navigate({ to: '/updates/$rolloutId', params: { rolloutId: made.id } })
  }
  return (
    <FormDialog
      title="New rollout"
      verb="Begin"
      ready={plan !== null && !inTheWay}
      save={save}
      onClose={onClose}
    >
      {at => (
        <>
          <Group gap="xs" grow align="start">
            <Select
              label="Channel"
              description="Devices follow it by their policy"
              allowDeselect={false}
              data={channels}
              value={channel}
              error={
                inTheWay
                  ? `version ${inTheWay.version} is ${inTheWay.state} there; stop that first`
                  : at('channel')
              }
              onChange={value => setChannel((value ?? channel) as Channel)}
            />
            <Select
              label="Version"
              description="Devices that run an older one get it"
              allowDeselect={false}
              searchable
              data={versions}
              value={version}
              error={at('version')}
              onChange={setChosen}
            />
          </Group>
          <Select
            label="For"
            allowDeselect={false}
            data={[
              {
                value: ALL,
                label: `All platforms: ${platforms.map(one => one.platform).join(', ')}`,
              },
              ...platforms.map(one => ({ value: one.id, label: `${one.platform} only` })),
            ]}
            value={release?.id ?? ALL}
            error={at('release_id')}
            onChange={value => setOnly(value ?? ALL)}
          />
          <TextInput
            label="Waves"
            description="Percent of the devices, each with the earlier ones in it; the last is 100"
            required
            value={waves}
            error={'why' in read ? read.why : at('waves')}
            onChange={event => setWaves(event.currentTarget.value)}
          />
          <Group gap="xs" grow align="start">
            <NumberInput
              label="A wave lasts at least"
              description="The next one waits that long"
              suffix=" min"
              min={0}
              max={MOST_SOAK_MINUTES}
              allowDecimal={false}
              clampBehavior="none"
              required
              value={soak}
              error={
                soakMinutes === null
                  ? 'whole minutes, from 0 to 43,200 (30 days)'
                  : at('soak_seconds')
              }
              onChange={setSoak}
            />
            <NumberInput
              label="It stops by itself above"
              description="Failed, of those that have ended"
              suffix=" %"
              min={0}
              max={100}
              allowDecimal={false}
              clampBehavior="none"
              required
              value={mostFailed}
              error={percent === null ? 'a whole number from 0 to 100' : at('max_failed_percent')}
              onChange={setMostFailed}
            />
          </Group>
          <Text size="sm" role="status">
            {plan && soakMinutes !== null
              ? planInWords(plan, duration(soakMinutes * 60))
              : sentence('it begins when every field is right')}
          </Text>
        </>
      )}
    </FormDialog>
  )
}
