import type { Schemas } from '~/api/client'

export type Settings = Schemas['PolicySettings']
export type Path = `${string}.${string}`

type Kind =
  | { kind: 'number'; min: number; max: number; unit?: string }
  | { kind: 'switch' }
  | { kind: 'choice'; choices: string[] }
  | { kind: 'roles' }
  | { kind: 'lines'; hint: string }
  | { kind: 'patterns' }
  | { kind: 'services' }

export type Setting = { path: Path; label: string; help?: string } & Kind

const seconds = (min: number, max: number): Kind => ({ kind: 'number', min, max, unit: 's' })
const days = (most: number): Kind => ({ kind: 'number', min: 1, max: most, unit: 'days' })
const minutes: Kind = { kind: 'number', min: 0, max: 10_080, unit: 'min' }
const per: Kind = { kind: 'number', min: 1, max: 100, unit: '%' }
const severity: Kind = { kind: 'choice', choices: ['info', 'warning', 'critical'] }

function threshold(name: string, label: string): Setting[] {
  return [
    { path: `alerts.${name}.enabled`, label, kind: 'switch' },
    { path: `alerts.${name}.severity`, label: `${label}: severity`, ...severity },
    { path: `alerts.${name}.above_percent`, label: `${label}: above`, ...per },
    { path: `alerts.${name}.for_minutes`, label: `${label}: for`, ...minutes },
    { path: `alerts.${name}.margin_percent`, label: `${label}: over below, less`, ...per },
    { path: `alerts.${name}.resolve_minutes`, label: `${label}: over after`, ...minutes },
  ]
}

function event(name: string, label: string): Setting[] {
  return [
    { path: `alerts.${name}.enabled`, label, kind: 'switch' },
    { path: `alerts.${name}.severity`, label: `${label}: severity`, ...severity },
  ]
}

/** What a policy may say, in the order of its form. */
export const GROUPS: { name: string; settings: Setting[] }[] = [
  {
    name: 'Sessions',
    settings: [
      { path: 'tunnel.roles', label: 'Who may open sessions', kind: 'roles' },
      { path: 'tunnel.idle_timeout_seconds', label: 'End when idle for', ...seconds(10, 86_400) },
      { path: 'tunnel.max_session_seconds', label: 'Longest session', ...seconds(1, 604_800) },
      {
        path: 'tunnel.consent',
        label: 'Who sits at the machine',
        kind: 'choice',
        choices: ['none', 'notice', 'required'],
        help: 'Notice: they are told. Required: they are asked before a session opens',
      },
      {
        path: 'tunnel.consent_timeout_seconds',
        label: 'They have to answer in',
        ...seconds(5, 600),
      },
      {
        path: 'tunnel.on_no_answer',
        label: 'Without an answer',
        kind: 'choice',
        choices: ['refuse', 'allow'],
      },
      {
        path: 'tunnel.when_nobody_is_there',
        label: 'When nobody is there',
        kind: 'choice',
        choices: ['refuse', 'allow'],
      },
      { path: 'tunnel.tell_person', label: 'A line on its text terminals', kind: 'switch' },
      ...['commands', 'terminal', 'files', 'services', 'processes', 'registry', 'tcp'].map(
        (feature): Setting => ({
          path: `tunnel.features.${feature}`,
          label: `Who may use: ${feature}`,
          kind: 'roles',
        }),
      ),
      {
        path: 'tunnel.shells',
        label: 'Further shells',
        kind: 'lines',
        hint: 'Absolute paths, one a line',
      },
      {
        path: 'tunnel.file_roots',
        label: 'Folders for files',
        kind: 'lines',
        hint: 'Absolute paths, one a line; all of the machine where nothing is said',
      },
      { path: 'tunnel.file_writes', label: 'Files may be written', kind: 'switch' },
      {
        path: 'tunnel.tcp_targets',
        label: 'TCP targets',
        kind: 'lines',
        hint: '10.0.0.5:3389 or *:443, one a line',
      },
    ],
  },
  {
    name: 'Recording',
    settings: [
      {
        path: 'recording.mode',
        label: 'Record terminals',
        kind: 'choice',
        choices: ['off', 'output', 'output_and_input'],
      },
      { path: 'recording.required', label: 'No terminal without a recording', kind: 'switch' },
      { path: 'recording.keep_days', label: 'Keep for', ...days(3650) },
    ],
  },
  {
    name: 'Commands',
    settings: [
      {
        path: 'commands.allow',
        label: 'Allowed',
        kind: 'patterns',
        help: 'Anything, where nothing is listed',
      },
      {
        path: 'commands.deny',
        label: 'Denied',
        kind: 'patterns',
        help: 'Wins over what is allowed',
      },
    ],
  },
  {
    name: 'Alerts',
    settings: [
      ...event('offline', 'Offline'),
      { path: 'alerts.offline.for_minutes', label: 'Offline: for', ...minutes },
      ...threshold('cpu', 'CPU'),
      ...threshold('memory', 'Memory'),
      ...threshold('disk', 'Disk'),
      ...event('service_down', 'Service down'),
      ...event('watchdog_gave_up', 'Watchdog gave up'),
      ...event('update_failed', 'Update failed'),
      ...event('clock', 'Clock is off'),
      { path: 'alerts.clock.off_by_seconds', label: 'Clock: off by', ...seconds(1, 86_400) },
    ],
  },
  {
    name: 'Measuring',
    settings: [
      { path: 'metrics.interval_seconds', label: 'Measure every', ...seconds(10, 3600) },
      { path: 'metrics.collect_cpu', label: 'CPU', kind: 'switch' },
      { path: 'metrics.collect_memory', label: 'Memory', kind: 'switch' },
      { path: 'metrics.collect_disk', label: 'Disk', kind: 'switch' },
      { path: 'metrics.collect_network', label: 'Network', kind: 'switch' },
      { path: 'inventory.interval_seconds', label: 'Inventory every', ...seconds(60, 604_800) },
      { path: 'retention.raw_days', label: 'Keep samples for', ...days(3650) },
      { path: 'retention.minute_days', label: 'Keep minutes for', ...days(3650) },
      { path: 'retention.hour_days', label: 'Keep hours for', ...days(36_500) },
    ],
  },
  {
    name: 'Watchdog and updates',
    settings: [
      { path: 'watchdog.enabled', label: 'Watch services', kind: 'switch' },
      { path: 'watchdog.check_interval_seconds', label: 'Look every', ...seconds(10, 3600) },
      { path: 'watchdog.services', label: 'Services', kind: 'services' },
      {
        path: 'update.channel',
        label: 'Updates of the agent',
        kind: 'choice',
        choices: ['stable', 'beta', 'off'],
        help: 'Which releases it follows. Off: none, but those that an administrator asks for by version',
      },
    ],
  },
]

type Branch = Record<string, unknown>

export function read(settings: Settings, path: string): unknown {
  let at: unknown = settings
  for (const name of path.split('.')) at = (at as Branch | null | undefined)?.[name]
  return at ?? undefined
}

/** The settings with one changed; what is unset leaves no empty groups behind. */
export function write(settings: Settings, path: string, value: unknown): Settings {
  const [first, ...rest] = path.split('.') as [string, ...string[]]
  const branch = { ...(settings as Branch) }
  const next =
    rest.length === 0 ? value : write((branch[first] ?? {}) as Settings, rest.join('.'), value)
  const empty =
    next === undefined ||
    (rest.length > 0 &&
      Object.values(next as Branch).every(one => one === undefined || one === null))
  if (empty) delete branch[first]
  else branch[first] = next
  return branch as Settings
}

const LEAVES = new Set(
  GROUPS.flatMap(group => group.settings.map(setting => setting.path as string)),
)

/** Every value that is set, by its path, as text. */
export function flatSettings(settings: unknown, before = ''): [string, string][] {
  if (settings === null || settings === undefined) return []
  if (typeof settings !== 'object' || Array.isArray(settings) || LEAVES.has(before)) {
    return [
      [
        before,
        Array.isArray(settings) || typeof settings === 'object'
          ? JSON.stringify(settings)
          : String(settings),
      ],
    ]
  }
  return Object.entries(settings).flatMap(([name, value]) =>
    flatSettings(value, before ? `${before}.${name}` : name),
  )
}
