import { QueryClient } from '@tanstack/react-query'
import { ApiError } from './problem'

/** What is worth another try: the server did not answer, or it says itself that it may. */
export function mayRetry(failures: number, error: unknown): boolean {
  if (!(error instanceof ApiError)) return false
  return failures < 2 && (error.status === 0 || error.status === 503)
}

export const queries = new QueryClient({
  defaultOptions: {
    queries: { staleTime: 15_000, gcTime: 300_000, retry: mayRetry, refetchOnWindowFocus: true },
    mutations: { retry: false },
  },
})

/** Keys of what is kept, by noun; events and changes name them to have them fetched again. */
export const keys = {
  agents: ['agents'] as const,
  agentList: (query: object) => ['agents', 'list', query] as const,
  agent: (id: string) => ['agent', id] as const,
  clients: ['clients'] as const,
  sites: ['sites'] as const,
  users: ['users'] as const,
  apiKeys: ['api-keys'] as const,
  tokens: ['registration-tokens'] as const,
  pending: ['pending'] as const,
  alerts: ['alerts'] as const,
  maintenance: ['maintenance'] as const,
  channels: ['channels'] as const,
  policies: ['policies'] as const,
  commands: ['commands'] as const,
  command: (id: string) => ['command', id] as const,
  jobs: ['jobs'] as const,
  job: (id: string) => ['job', id] as const,
  scripts: ['scripts'] as const,
  schedules: ['schedules'] as const,
  audit: ['audit'] as const,
  sessions: ['sessions'] as const,
  recordings: ['recordings'] as const,
  releases: ['releases'] as const,
  rollouts: ['rollouts'] as const,
  rollout: (id: string) => ['rollouts', 'one', id] as const,
  updates: (agentId: string) => ['updates', agentId] as const,
  stats: ['stats'] as const,
  health: ['health'] as const,
}
