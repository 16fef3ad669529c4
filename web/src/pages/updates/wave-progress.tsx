import { Group, Progress, Text } from '@mantine/core'
import type { Schemas } from '~/api/client'
import { countsInWords, totalOf } from './wave-words'

const PARTS = [
  { key: 'completed', color: 'var(--grmm-good)' },
  { key: 'failed', color: 'var(--grmm-bad)' },
  { key: 'sent', color: 'var(--grmm-info)' },
] as const

/** How far one wave is, as a bar and in numbers; the numbers are what counts. */
export function WaveProgress({ wave }: { wave: Schemas['RolloutWave'] }) {
  const total = totalOf(wave)
  return (
    <Group gap="xs" wrap="wrap">
      <Progress.Root size={8} w={260} maw="100%" aria-hidden="true">
        {PARTS.map(({ key, color }) => (
          <Progress.Section key={key} value={total ? (wave[key] / total) * 100 : 0} color={color} />
        ))}
      </Progress.Root>
      <Text span size="sm">
        {countsInWords(wave)}
      </Text>
    </Group>
  )
}
