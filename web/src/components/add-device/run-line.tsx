import { Alert, Button, Group, SegmentedControl, Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body } from '~/api/client'
import { useHindrance } from '~/api/me'
import { openTerminal } from '~/components/open-terminal'
import { CopyLine } from '~/ui/copy-line'
import { ErrorNote } from '~/ui/error-note'
import { Link, LinkButton } from '~/ui/link'
import { Status } from '~/ui/status'
import { Untrusted } from '~/ui/untrusted'
import { installLine, type Way } from './install-line'
import { lackOf, type Offers } from './offers'
import { useArrival } from './use-arrival'
import { useOffers } from './use-offers'

interface RunLineProps {
  siteId: string
  siteName: string
  onClose: () => void
  onBack: () => void
}

const WAYS: { value: Way; label: string; where: string }[] = [
  { value: 'linux', label: 'Linux', where: 'on the machine; it asks for root by sudo' },
  {
    value: 'debian',
    label: 'Debian package',
    where: 'on the machine, in the folder with the package; VERSION and amd64 as in its name',
  },
  {
    value: 'powershell',
    label: 'Windows (PowerShell)',
    where: 'on the machine, in a PowerShell that runs as administrator',
  },
  {
    value: 'msi',
    label: 'Windows (MSI)',
    where:
      'on the machine, as administrator in the folder with the package; VERSION as in its name',
  },
]

export function RunLine({ siteId, siteName, onClose, onBack }: RunLineProps) {
  const [way, setWay] = useState<Way>('linux')
  const offers = useOffers()
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
        value={way}
        onChange={value => setWay(value as Way)}
        data={WAYS.map(({ value, label }) => ({ value, label }))}
      />
      <Text size="sm">
        Run this {WAYS.find(({ value }) => value === way)?.where}. It is for one device in{' '}
        {siteName} and for one day.
      </Text>
      <ErrorNote
        error={token.error ?? offers.error}
        retry={() => void (token.error ? token : offers).refetch()}
      />
      {(token.isPending || offers.isPending) && <Skeleton height={64} />}
      {token.data?.token && offers.data && (
        <Line way={way} token={token.data.token} offers={offers.data} onClose={onClose} />
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

interface LineProps {
  way: Way
  token: string
  offers: Offers
  onClose: () => void
}

/** The line of one way, and what stands in its way on this server. */
function Line({ way, token, offers, onClose }: LineProps) {
  const mayNotAdd = useHindrance('manageUpdates')
  const { authority, versions } = offers
  const lack = lackOf(way, offers)
  const line = installLine(way, {
    origin: location.origin,
    token,
    authority: authority?.file ?? null,
    version: versions[way === 'msi' ? 'windows-x86_64' : 'linux-x86_64'],
  })
  return (
    <>
      {lack && (
        <Note>
          {lack}{' '}
          {mayNotAdd ? (
            'Who manages updates can add it.'
          ) : (
            <Link to="/updates" c="inherit" underline="always" onClick={onClose}>
              How to add a release
            </Link>
          )}
        </Note>
      )}
      {line ? (
        <CopyLine label="the line to run" text={line} />
      ) : (
        <Note>
          This server’s certificate is of its own authority, and the MSI cannot be told of one. Take
          the line for PowerShell.
        </Note>
      )}
      {line && authority && (
        <Text size="xs" c="dimmed">
          This server’s certificate is of its own authority. The machine fetches it once, and goes
          on only where it is the one that this browser sees
          {way === 'powershell' && '; Windows then trusts it for all its programs'}.
          {authority.fingerprint && (
            <>
              {' '}
              The log of the server knows it by SHA-256 <code>{authority.fingerprint}</code>.
            </>
          )}
        </Text>
      )}
    </>
  )
}

function Note({ children }: { children: React.ReactNode }) {
  return (
    <Alert color="yellow" role="note" styles={{ message: { color: 'var(--mantine-color-text)' } }}>
      {children}
    </Alert>
  )
}

function inOneDay(): string {
  return new Date(Date.now() + 86_400_000).toISOString()
}
