import { Modal, Stack } from '@mantine/core'
import { Facts } from '~/ui/facts'
import { Time } from '~/ui/time'
import { output, plain } from '~/util/untrusted'
import type { Act } from './audit-grid'
import { Outcome } from './outcome'

export function ActDialog({ act, onClose }: { act: Act; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={act.action} size="lg">
      <Stack gap="sm">
        <Facts
          items={[
            ['When', <Time key="at" at={act.at} />],
            ['Who', act.user_email || 'the system'],
            ['With a key', act.key_id ?? 'no'],
            ['Device', act.agent_hostname ? plain(act.agent_hostname, 120) : '–'],
            ['Target', act.target || '–'],
            ['Outcome', <Outcome key="outcome" act={act} />],
            ['Ended', <Time key="ended" at={act.ended_at} none="–" />],
            ['Exit code', act.exit_code?.toString() ?? '–'],
            ['From', plain(act.remote_addr, 60)],
            ['Session', act.session_id ?? '–'],
            ['Request', act.request_id || '–'],
            ['Sealed', act.sealed ? `yes, number ${act.seq}` : 'not yet'],
          ]}
        />
        <pre className="output">{output(pretty(act.detail))}</pre>
      </Stack>
    </Modal>
  )
}

function pretty(detail: string): string {
  try {
    return JSON.stringify(JSON.parse(detail), null, 2)
  } catch {
    return detail
  }
}
