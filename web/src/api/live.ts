import type { InfiniteData, QueryClient } from '@tanstack/react-query'
import type { Schemas } from './client'
import type { LiveEvent } from './events'
import { keys } from './queries'

type Agent = Schemas['Agent']
type Page = { items: Agent[]; next_cursor?: string | null }
type AgentEvent = Extract<LiveEvent, { type: 'agent' }>

const PATCH_EVERY_MS = 250
const REFETCH_EVERY_MS = 1500

/**
 * Puts events into what is kept. What machines say is patched row by row, so that selection, scroll
 * and focus stay; what else changed is fetched again, at most once in a while.
 */
export function createLive(queries: QueryClient) {
  let patches = new Map<string, AgentEvent>()
  let stale = new Map<string, readonly unknown[]>()
  let patching = false
  let refetching = false

  const flushPatches = () => {
    patching = false
    const now = patches
    patches = new Map()
    let sizesMissing = false
    queries.setQueriesData<InfiniteData<Page>>({ queryKey: [...keys.agents, 'list'] }, data =>
      patchPages(data, now, (agent, event) => {
        sizesMissing ||= lacksSizes(agent, event)
      }),
    )
    if (sizesMissing) again([...keys.agents, 'list'])
    for (const event of now.values()) {
      queries.setQueryData<Agent>(
        keys.agent(event.agent_id),
        agent => agent && patched(agent, event),
      )
    }
  }

  const flushStale = () => {
    refetching = false
    const now = stale
    stale = new Map()
    for (const queryKey of now.values()) void queries.invalidateQueries({ queryKey })
  }

  const again = (...queryKeys: (readonly unknown[])[]) => {
    for (const key of queryKeys) stale.set(JSON.stringify(key), key)
    if (!refetching) setTimeout(flushStale, REFETCH_EVERY_MS)
    refetching = true
  }

  return (event: LiveEvent) => {
    switch (event.type) {
      case 'agent':
        patches.set(event.agent_id, event)
        if (!patching) setTimeout(flushPatches, PATCH_EVERY_MS)
        patching = true
        again(keys.stats)
        break
      case 'agent_changed':
        again(keys.agent(event.agent_id), [...keys.agents, 'list'], keys.stats, keys.pending)
        break
      case 'alert':
        again(keys.alerts)
        break
      case 'command':
        again(keys.commands, keys.command(event.command_id), keys.jobs, ['job'])
        break
      case 'job':
        again(keys.jobs, keys.job(event.job_id), keys.commands)
        break
      case 'agent_update':
        again(keys.updates(event.agent_id), keys.agent(event.agent_id), keys.rollouts)
        break
      case 'rollout':
        again(keys.rollouts)
        break
      case 'session':
        again(keys.sessions, keys.recordings)
        break
      case 'resync':
        void queries.invalidateQueries()
        break
    }
  }
}

function patchPages(
  data: InfiniteData<Page> | undefined,
  events: Map<string, AgentEvent>,
  look: (agent: Agent, event: AgentEvent) => void,
) {
  if (!data) return data
  let changed = false
  const pages = data.pages.map(page => {
    let pageChanged = false
    const items = page.items.map(agent => {
      const event = events.get(agent.id)
      if (!event) return agent
      pageChanged = true
      look(agent, event)
      return patched(agent, event)
    })
    changed ||= pageChanged
    return pageChanged ? { ...page, items } : page
  })
  return changed ? { ...data, pages } : data
}

export function patched(agent: Agent, event: AgentEvent): Agent {
  const at = event.last_seen ?? agent.last_seen_at
  const load = agent.metrics ?? firstLoad(event, at)
  return {
    ...agent,
    status: event.status,
    last_seen_at: at,
    metrics: load && {
      ...load,
      at: event.last_seen ?? load.at,
      cpu_percent: event.cpu_percent ?? load.cpu_percent,
      memory_used_bytes:
        part(event.memory_percent, load.memory_total_bytes) ?? load.memory_used_bytes,
      disk_used_bytes: part(event.disk_percent, load.disk_total_bytes) ?? load.disk_used_bytes,
    },
  }
}

/** Of a device that had told no load before; sizes come when the list is read again. */
function firstLoad(event: AgentEvent, at: string | null | undefined): Agent['metrics'] {
  return at && tellsLoad(event) ? { at } : null
}

function lacksSizes({ metrics }: Agent, { memory_percent, disk_percent }: AgentEvent): boolean {
  const lacks = (percent: number | null | undefined, total: number | null | undefined) =>
    typeof percent === 'number' && !total
  return (
    lacks(memory_percent, metrics?.memory_total_bytes) ||
    lacks(disk_percent, metrics?.disk_total_bytes)
  )
}

function tellsLoad(event: AgentEvent): boolean {
  return [event.cpu_percent, event.memory_percent, event.disk_percent].some(
    value => value !== null && value !== undefined,
  )
}

function part(percent: number | null | undefined, total: number | null | undefined): number | null {
  return percent === null || percent === undefined || !total
    ? null
    : Math.round((percent / 100) * total)
}
