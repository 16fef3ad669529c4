import { Group, Skeleton, Title } from '@mantine/core'
import { getRouteApi, Outlet, Link as RouterLink } from '@tanstack/react-router'
import { AgentStatus } from '~/components/agent-status'
import { TerminalButton } from '~/pages/devices/terminal-button'
import { ErrorNote } from '~/ui/error-note'
import { Link } from '~/ui/link'
import { Page } from '~/ui/page'
import { TabLinks, tab } from '~/ui/tab-links'
import { Time } from '~/ui/time'
import { Untrusted } from '~/ui/untrusted'
import { plain } from '~/util/untrusted'
import { DeviceMenu } from './device-menu'
import { type Device, useDevice } from './use-device'

const route = getRouteApi('/inside/devices/$agentId')

export default function DevicePage() {
  const { agentId } = route.useParams()
  const device = useDevice(agentId)
  const agent = device.data
  return (
    <Page
      title={agent ? plain(agent.hostname, 80) : 'Device'}
      fill
      heading={
        agent ? (
          <Heading agent={agent} />
        ) : device.error ? undefined : (
          <Skeleton height={20} width={260} />
        )
      }
      actions={
        agent && (
          <>
            <TerminalButton agent={agent} />
            <DeviceMenu agent={agent} />
          </>
        )
      }
    >
      <ErrorNote error={agent ? null : device.error} retry={() => void device.refetch()} />
      {agent && (
        <>
          <Tabs agent={agent} />
          <Outlet />
        </>
      )}
    </Page>
  )
}

function Heading({ agent }: { agent: Device }) {
  return (
    <Group gap="sm" wrap="wrap">
      <Title order={1}>
        <Untrusted text={agent.hostname} longest={80} />
      </Title>
      <AgentStatus status={agent.status} />
      <span style={{ color: 'var(--mantine-color-dimmed)' }}>
        {agent.client && (
          <>
            <Link to="/clients/$clientId" params={{ clientId: agent.client.id }} underline="always">
              {agent.client.name}
            </Link>
            {' › '}
          </>
        )}
        {agent.site?.name ?? 'no site'}
        {agent.status !== 'online' && (
          <>
            {' · last seen '}
            <Time at={agent.last_seen_at} />
          </>
        )}
      </span>
    </Group>
  )
}

function Tabs({ agent }: { agent: Device }) {
  const params = { agentId: agent.id }
  return (
    <TabLinks label="Parts of the device">
      <RouterLink {...tab} to="/devices/$agentId" params={params} activeOptions={{ exact: true }}>
        Overview
      </RouterLink>
      <RouterLink {...tab} to="/devices/$agentId/commands" params={params}>
        Commands
      </RouterLink>
      <RouterLink {...tab} to="/devices/$agentId/files" params={params}>
        Files
      </RouterLink>
      <RouterLink {...tab} to="/devices/$agentId/services" params={params}>
        Services
      </RouterLink>
      <RouterLink {...tab} to="/devices/$agentId/processes" params={params}>
        Processes
      </RouterLink>
      {agent.os.family === 'windows' && (
        <RouterLink {...tab} to="/devices/$agentId/registry" params={params}>
          Registry
        </RouterLink>
      )}
      <RouterLink {...tab} to="/devices/$agentId/inventory" params={params}>
        Inventory
      </RouterLink>
      <RouterLink {...tab} to="/devices/$agentId/alerts" params={params}>
        Alerts
      </RouterLink>
      <RouterLink {...tab} to="/devices/$agentId/policy" params={params}>
        Policy
      </RouterLink>
      <RouterLink {...tab} to="/devices/$agentId/activity" params={params}>
        Activity
      </RouterLink>
    </TabLinks>
  )
}
