import type { Schemas } from './client'
import type { User } from './session'

type Agent = Schemas['Agent']
type Alert = Schemas['Alert']
type Command = Schemas['Command']
type Job = Schemas['Job']
type Recording = Schemas['Recording']
type Rollout = Schemas['Rollout']

type Role = Schemas['Role']
const WORKERS: Role[] = ['administrator', 'technician']
const ADMINISTRATORS: Role[] = ['administrator']

interface Rule<T> {
  roles: Role[]
  /** Only for users without a scope. */
  everywhere?: boolean
  /** Why the thing does not allow it in its state; null where it does. */
  hindered?: (thing: T) => string | null
}

const rule = <T = void>(of: Rule<T>): Rule<T> => of

const online = (agent: Agent) =>
  agent.status === 'online' ? null : 'the device is offline; it works when the device is back'

/** Which action is possible for whom, in which state. The server decides; this says it beforehand. */
export const ACTIONS = {
  openTerminal: rule<Agent>({ roles: WORKERS, hindered: online }),
  openSession: rule<Agent>({ roles: WORKERS, hindered: online }),
  runCommand: rule<Agent>({ roles: WORKERS }),
  moveAgent: rule<Agent>({ roles: ADMINISTRATORS }),
  deleteAgent: rule<Agent>({ roles: ADMINISTRATORS }),
  updateAgent: rule<Agent>({ roles: ADMINISTRATORS }),
  addDevice: rule({ roles: ADMINISTRATORS }),
  approveAgent: rule({ roles: ADMINISTRATORS }),
  acknowledgeAlert: rule<Alert>({
    roles: WORKERS,
    hindered: alert => (alert.status === 'open' ? null : `it is ${alert.status} already`),
  }),
  resolveAlert: rule<Alert>({
    roles: WORKERS,
    hindered: alert => (alert.status === 'resolved' ? 'it is resolved already' : null),
  }),
  snoozeAlert: rule<Alert>({
    roles: WORKERS,
    hindered: alert => (alert.status === 'resolved' ? 'it is resolved already' : null),
  }),
  cancelCommand: rule<Command>({
    roles: WORKERS,
    hindered: command =>
      command.status === 'pending' || command.status === 'running' ? null : 'it has ended',
  }),
  cancelJob: rule<Job>({
    roles: WORKERS,
    hindered: ({ progress }) => (progress.pending + progress.running > 0 ? null : 'it has ended'),
  }),
  retryJob: rule<Job>({
    roles: WORKERS,
    hindered: ({ progress }) => (progress.failed > 0 ? null : 'nothing of it has failed'),
  }),
  runJob: rule({ roles: WORKERS }),
  writeScripts: rule({ roles: WORKERS, everywhere: true }),
  writeSchedules: rule({ roles: WORKERS }),
  planMaintenance: rule({ roles: WORKERS }),
  writePolicies: rule({ roles: ADMINISTRATORS }),
  writeClients: rule({ roles: ADMINISTRATORS, everywhere: true }),
  writeSites: rule({ roles: ADMINISTRATORS }),
  manageUsers: rule({ roles: ADMINISTRATORS, everywhere: true }),
  seeAudit: rule({ roles: ADMINISTRATORS }),
  seeSystem: rule({ roles: ADMINISTRATORS, everywhere: true }),
  watchSession: rule<Schemas['ListedSession']>({
    roles: ADMINISTRATORS,
    hindered: session => (session.closed_at ? 'it has ended' : null),
  }),
  manageUpdates: rule({ roles: ADMINISTRATORS, everywhere: true }),
  pauseRollout: rule<Rollout>({
    roles: ADMINISTRATORS,
    everywhere: true,
    hindered: ({ state }) => (state === 'running' ? null : `it is ${state}`),
  }),
  resumeRollout: rule<Rollout>({
    roles: ADMINISTRATORS,
    everywhere: true,
    hindered: ({ state }) => (state === 'paused' ? null : `it is ${state}`),
  }),
  stopRollout: rule<Rollout>({
    roles: ADMINISTRATORS,
    everywhere: true,
    hindered: ({ state }) =>
      state === 'running' || state === 'paused' ? null : `it is ${state} already`,
  }),
  advanceRollout: rule<Rollout>({
    roles: ADMINISTRATORS,
    everywhere: true,
    hindered: ({ state, wave, waves }) => {
      if (state !== 'running') return `it is ${state}`
      return wave < waves.length ? null : 'the last wave is under way'
    },
  }),
  manageTokens: rule({ roles: ADMINISTRATORS }),
  manageChannels: rule({ roles: ADMINISTRATORS }),
  deleteRecording: rule<Recording>({
    roles: ADMINISTRATORS,
    hindered: recording => (recording.state === 'recording' ? 'it is still being recorded' : null),
  }),
} as const

export type Action = keyof typeof ACTIONS
type Thing<A extends Action> = (typeof ACTIONS)[A] extends Rule<infer T> ? T : never

/** Why `user` may not do it now; null where it may be tried. */
export function hindrance<A extends Action>(
  action: A,
  user: User,
  ...thing: Thing<A> extends void ? [] : [Thing<A>]
): string | null {
  const { roles, everywhere, hindered } = ACTIONS[action] as Rule<unknown>
  if (!roles.includes(user.role as Role))
    return `your role, ${user.role.replace('_', ' ')}, may not do this`
  if (everywhere && user.scope) return 'only who sees all clients may do this'
  return hindered?.(thing[0]) ?? null
}
