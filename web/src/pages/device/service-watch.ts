import { useEffect, useState } from 'react'
import type { Schemas } from '~/api/client'
import { queries } from '~/api/queries'
import { authorizedFetch } from '~/api/transport'
import { serverSentReader } from '~/util/server-sent'

type Service = Schemas['ServiceState']
type Services = { items: Service[] }

export interface ServiceChange {
  change: 'present' | 'added' | 'changed' | 'removed'
  service: Service
}

const EVERY_SECONDS = 3
/** Changes that come together, as all of them do at first, are shown together. */
const SHOW_EVERY_MS = 250

/** The list as it is after `changes`; what only the list knows of a service stays. */
export function applyChanges(items: Service[], changes: ServiceChange[]): Service[] {
  const all = new Map(items.map(service => [service.name, service]))
  for (const { change, service } of changes) {
    const before = all.get(service.name)
    if (change === 'removed') all.delete(service.name)
    else if (change === 'changed') all.set(service.name, { ...before, pid: undefined, ...service })
    else all.set(service.name, { ...before, ...service })
  }
  return [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * Keeps the list of services as the machine tells its changes; answers whether it does. Without
 * (an agent that cannot, a line that broke) the list has to be asked for.
 */
export function useServiceWatch(sessionId: string): boolean {
  const [live, setLive] = useState(false)
  useEffect(() => {
    const stop = new AbortController()
    const queryKey = ['services', sessionId]
    let waiting: ServiceChange[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const show = () => {
      const changes = waiting
      waiting = []
      timer = undefined
      queries.setQueryData<Services>(
        queryKey,
        list => list && { ...list, items: applyChanges(list.items, changes) },
      )
    }
    const read = serverSentReader(({ event, data }) => {
      if (event !== 'service') return
      waiting.push(JSON.parse(data) as ServiceChange)
      timer ??= setTimeout(show, SHOW_EVERY_MS)
    })
    const follow = async () => {
      const path = `/api/v1/tunnel/${encodeURIComponent(sessionId)}/services/watch`
      const answer = await authorizedFetch(`${path}?interval_seconds=${EVERY_SECONDS}`, {
        signal: stop.signal,
      })
      if (!answer.ok || !answer.body) return
      setLive(true)
      const decoder = new TextDecoder()
      const pieces = answer.body.getReader()
      for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
        read(decoder.decode(piece.value, { stream: true }))
      }
    }
    follow()
      .catch(() => undefined)
      .finally(() => setLive(false))
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [sessionId])
  return live
}
