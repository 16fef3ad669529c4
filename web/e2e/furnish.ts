/** Puts something on every page: clients, an agent that works, agents that poll, scripts, jobs, rules. */

import { join } from 'node:path'
import { PASSWORD, type TestServer } from './server'
import { StandInServices } from './stand-in-services'
import { until } from './terminal-world'

export interface Furniture {
  token: string
  agentId: string
  clientId: string
  siteId: string
  jobId: string
  commandId: string
  scriptId: string
  scheduleId: string
  policyId: string
  services: StandInServices
}

const NAMES = ['WS-042', 'srv-db-01', 'LAPTOP-7', 'print-server', 'kiosk-lobby', 'nas-2']

export async function furnish(server: TestServer): Promise<Furniture> {
  const token = await server.setUp()
  const make = (path: string, body: object) => server.must('POST', path, body, token)
  const acme = await make('/api/clients', { name: 'Acme Dental' })
  const globex = await make('/api/clients', { name: 'Globex' })
  const site = await make('/api/sites', { client_id: acme.id, name: 'Headquarters' })
  const branch = await make('/api/sites', { client_id: globex.id, name: 'Branch' })
  const services = StandInServices.make(join(server.folder, 'programs'))
  server.startAgent(site.api_key, 'furnished', undefined, services.folder)
  await pollingAgents(server, branch.site_code)
  let agentId = ''
  await until('the agent is online', async () => {
    const { items } = await server.must('GET', `/api/agents?site_id=${site.id}`, undefined, token)
    agentId = items.find((agent: { status: string }) => agent.status === 'online')?.id ?? ''
    return agentId !== ''
  })
  const policy = await make('/api/policies', {
    name: 'All devices',
    settings: {
      metrics: { interval_seconds: 10 },
      alerts: { memory: { enabled: true, above_percent: 1, for_minutes: 0, severity: 'warning' } },
      tunnel: { idle_timeout_seconds: 1800 },
      recording: { mode: 'output' },
    },
  })
  const script = await make('/api/scripts', {
    name: 'Restart a service',
    description: 'Stops it, waits, and starts it again.',
    command_type: 'shell',
    body: 'echo "would restart $GURURMM_SERVICE"\n',
    parameters: [
      { name: 'service', kind: 'text', required: true, description: 'as systemd calls it' },
    ],
  })
  const job = await make('/api/jobs', {
    name: 'Who is logged in',
    filter: {},
    command: 'uname -a; id; for i in 1 2 3; do echo line $i; done',
  })
  const failing = await make('/api/jobs', {
    name: 'Fails',
    filter: { agent_ids: [agentId] },
    command: 'echo sorry >&2; exit 3',
  })
  let commandId = ''
  await until('the command has ended', async () => {
    const { items } = await server.must(
      'GET',
      `/api/commands?agent_id=${agentId}`,
      undefined,
      token,
    )
    const ended = items.filter((one: { status: string }) =>
      ['completed', 'failed'].includes(one.status),
    )
    commandId = ended.find((one: { job_id: string }) => one.job_id === job.id)?.id ?? ''
    return commandId !== '' && ended.some((one: { job_id: string }) => one.job_id === failing.id)
  })
  const schedule = await make('/api/schedules', {
    name: 'Nightly clean-up',
    cron: '30 2 * * *',
    time_zone: 'Europe/Berlin',
    when_offline: 'skip',
    filter: { os_family: 'linux' },
    command: 'journalctl --vacuum-time=30d',
  })
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString()
  await make('/api/maintenance', { site_id: branch.id, ends_at: tomorrow, reason: 'New switches' })
  await make('/api/users', {
    email: 'grace@example.com',
    name: 'Grace Example',
    password: PASSWORD,
    role: 'technician',
  })
  await make('/api/users', { email: 'reader@example.com', password: PASSWORD, role: 'read_only' })
  await make('/api/keys', { name: 'Nightly report', role: 'read_only' })
  await make('/api/notifications', {
    name: 'On call',
    kind: 'webhook',
    target: 'https://hooks.example.com/rmm',
    min_severity: 'critical',
  })
  await make('/api/registration-tokens', {
    site_id: site.id,
    name: 'Roll-out',
    uses: 20,
    approval: true,
  })
  await make('/api/v1/tunnel/open', { agent_id: agentId })
  return {
    token,
    agentId,
    clientId: acme.id,
    siteId: site.id,
    jobId: job.id,
    commandId,
    scriptId: script.id,
    scheduleId: schedule.id,
    policyId: policy.id,
    services,
  }
}

async function pollingAgents(server: TestServer, siteCode: string): Promise<void> {
  for (const [at, hostname] of NAMES.entries()) {
    const windows = at % 2 === 0
    const { api_key } = await server.must('POST', '/api/agent/register-legacy', {
      site_code: siteCode,
      device_id: `polls-${at}`,
      hostname,
      os_info: windows
        ? { family: 'windows', name: 'Windows 11 Pro', version: '10.0.26100', arch: 'x86_64' }
        : { family: 'linux', name: 'Debian GNU/Linux', version: '13', arch: 'aarch64' },
      version: '0.9.4',
    })
    if (at > 3) continue
    await server.must('POST', '/api/agent/heartbeat', {
      api_key,
      metrics: {
        cpu_percent: 12 + at * 21,
        memory_used_bytes: (2 + at) * 1024 ** 3,
        memory_total_bytes: 8 * 1024 ** 3,
        disk_used_bytes: (100 + at * 130) * 1024 ** 3,
        disk_total_bytes: 512 * 1024 ** 3,
        network_rx_bytes: 40_000,
        network_tx_bytes: 9000,
        uptime_seconds: 86_400 * (at + 2),
      },
    })
  }
}
