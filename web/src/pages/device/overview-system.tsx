import { Card } from '~/ui/card'
import { Facts } from '~/ui/facts'
import { Time } from '~/ui/time'
import { Untrusted } from '~/ui/untrusted'
import { duration } from '~/util/format'
import type { Device } from './use-device'

export function SystemCard({ agent }: { agent: Device }) {
  const { os } = agent
  return (
    <Card title="System">
      <Facts
        items={[
          ['System', <Untrusted key="os" text={[os.name || os.family, os.version].join(' ')} />],
          ['Architecture', <Untrusted key="arch" text={os.arch} />],
          ['Uptime', duration(agent.metrics?.uptime_seconds)],
          ['Last seen', <Time key="seen" at={agent.last_seen_at} />],
          [
            'Agent',
            <Untrusted
              key="agent"
              text={`${agent.agent_version ?? 'unknown'} · protocol ${agent.protocol}`}
            />,
          ],
          ['Added', <Time key="added" at={agent.created_at} />],
          ['Device id', <Untrusted key="id" text={agent.device_id} />],
        ]}
      />
    </Card>
  )
}
