import { Button, Group, SegmentedControl, Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body } from '~/api/client'
import { openTerminal } from '~/components/open-terminal'
import { CopyLine } from '~/ui/copy-line'
import { ErrorNote } from '~/ui/error-note'
import { LinkButton } from '~/ui/link'
import { Status } from '~/ui/status'
import { Untrusted } from '~/ui/untrusted'
import { installLine, type System } from './install-line'
import { useArrival } from './use-arrival'

interface RunLineProps {
  siteId: string
  siteName: string
  onClose: () => void
  onBack: () => void
}

export function RunLine({ siteId, siteName, onClose, onBack }: RunLineProps) {
  const [system, setSystem] = useState<System>('linux')
  const token = useQuery({
    queryKey: ['enrol', siteId],
    queryFn: () =>
      body(
        api.POST('/api/registration-tokens', {
          body: { site_id: siteId, name: 'Add device', uses: 1, expires_at: inOneDay() },
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    refetchOnWindowFocus: false,
  })
  const arrived = useArrival(siteId, token.data?.created_at)
  return (
    <Stack gap="sm">
      <SegmentedControl
        aria-label="System of the device"
        value={system}
        onChange={value => setSystem(value as System)}
        data={[
          { value: 'linux', label: 'Linux' },
          { value: 'windows', label: 'Windows (PowerShell)' },
        ]}
      />
      <Text size="sm">
        Run this line on the machine, as {system === 'linux' ? 'root' : 'administrator'}, where the
        program gururmm-agent is installed. It is for one device in {siteName} and for one day.
      </Text>
      <ErrorNote error={token.error} retry={() => void token.refetch()} />
      {token.isPending && <Skeleton height={64} />}
      {token.data?.token && (
        <CopyLine
          label="the line to run"
          text={installLine(system, location.origin, token.data.token)}
        />
      )}
      <Group justify="space-between" mih={30}>
        <div role="status">
          {arrived ? (
            <Status tone="good">
              <strong>
                <Untrusted text={arrived.hostname} longest={60} />
              </strong>{' '}
              is online
            </Status>
          ) : (
            token.data && <Status tone="idle">Waiting for the device…</Status>
          )}
        </div>
        <Group gap="xs">
          {arrived ? (
            <>
              <LinkButton to="/devices/$agentId" params={{ agentId: arrived.id }} onClick={onClose}>
                Show device
              </LinkButton>
              <Button
                autoFocus
                onClick={() => {
                  openTerminal(arrived)
                  onClose()
                }}
              >
                Open terminal
              </Button>
            </>
          ) : (
            <Button variant="default" onClick={onBack}>
              Back
            </Button>
          )}
        </Group>
      </Group>
    </Stack>
  )
}

function inOneDay(): string {
  return new Date(Date.now() + 86_400_000).toISOString()
}
