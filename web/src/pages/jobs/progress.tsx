import { Group, Progress } from '@mantine/core'
import type { Schemas } from '~/api/client'
import { count } from '~/util/format'

const PARTS = [
  { key: 'completed', name: 'completed', color: 'var(--grmm-good)' },
  { key: 'failed', name: 'failed', color: 'var(--grmm-bad)' },
  { key: 'running', name: 'running', color: 'var(--grmm-info)' },
] as const

export function JobProgress({
  progress,
  wide,
}: {
  progress: Schemas['JobProgress']
  wide?: boolean
}) {
  const { total } = progress
  const words = [...PARTS, { key: 'pending', name: 'waiting' } as const]
    .filter(part => progress[part.key] > 0)
    .map(part => `${count(progress[part.key])} ${part.name}`)
    .join(', ')
  return (
    <Group gap="xs" wrap="nowrap">
      <Progress.Root size={wide ? 8 : 6} w={wide ? 260 : 90} aria-hidden="true">
        {PARTS.map(part => (
          <Progress.Section
            key={part.key}
            value={total ? (progress[part.key] / total) * 100 : 0}
            color={part.color}
          />
        ))}
      </Progress.Root>
      <span>{words || 'no devices'}</span>
    </Group>
  )
}
