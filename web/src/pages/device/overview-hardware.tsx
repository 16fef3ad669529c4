import { Skeleton, Stack, Text } from '@mantine/core'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { Link } from '~/ui/link'
import { Untrusted } from '~/ui/untrusted'
import { bytes } from '~/util/format'
import type { Device } from './use-device'
import { useInventory } from './use-inventory'

export function HardwareCard({ agent }: { agent: Device }) {
  const inventory = useInventory(agent.id)
  const load = agent.metrics
  const { hardware, disks, users, network } = inventory.data?.sections ?? {}
  return (
    <Card
      title="Hardware"
      actions={
        <Link to="/devices/$agentId/inventory" params={{ agentId: agent.id }} fz="xs">
          All of the inventory
        </Link>
      }
    >
      <ErrorNote error={inventory.error} />
      {inventory.isPending && (
        <Stack gap={8}>
          <Skeleton height={10} width="70%" />
          <Skeleton height={10} width="55%" />
          <Skeleton height={10} width="62%" />
        </Stack>
      )}
      {inventory.data === null && (
        <Text c="dimmed" mb={6}>
          The machine has not told its inventory yet.
        </Text>
      )}
      {!inventory.isPending && (
        <Facts
          items={[
            [
              'Model',
              <Untrusted
                key="m"
                text={[hardware?.vendor, hardware?.model].filter(Boolean).join(' ') || '–'}
              />,
            ],
            [
              'Processor',
              <Untrusted
                key="c"
                text={
                  hardware?.cpu_model
                    ? `${hardware.cpu_model} · ${hardware.cpu_cores ?? '?'} cores`
                    : '–'
                }
              />,
            ],
            ['Memory', bytes(hardware?.memory_bytes ?? load?.memory_total_bytes)],
            [
              'Disks',
              disks?.length
                ? disks.slice(0, 4).map(disk => (
                    <div key={disk.mount}>
                      <Untrusted text={disk.mount} longest={60} /> {bytes(disk.total_bytes)}{' '}
                      <Untrusted text={disk.file_system} longest={20} />
                    </div>
                  ))
                : bytes(load?.disk_total_bytes),
            ],
            [
              'Addresses',
              <Untrusted
                key="n"
                text={
                  network
                    ?.flatMap(one => one.addresses ?? [])
                    .filter(address => !/^(127\.|::1|fe80)/.test(address))
                    .slice(0, 4)
                    .join(', ') || '–'
                }
              />,
            ],
            [
              'Logged in',
              <Untrusted
                key="u"
                text={[...new Set(users?.map(user => user.name))].join(', ') || 'nobody'}
              />,
            ],
          ]}
        />
      )}
    </Card>
  )
}
