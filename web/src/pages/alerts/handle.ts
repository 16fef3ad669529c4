import type { InfiniteData } from '@tanstack/react-query'
import { api, body, type Schemas } from '~/api/client'
import { keys, queries } from '~/api/queries'
import { failed } from '~/ui/toast'

type Alert = Schemas['Alert']
type Lists = InfiniteData<{ items: Alert[] }> | { items: Alert[] }

export const SNOOZES: [number, string][] = [
  [1, 'For an hour'],
  [8, 'For 8 hours'],
  [24, 'For a day'],
  [168, 'For a week'],
]

/** Shows the outcome at once, and takes it back where the server refuses. */
async function optimistic(
  alert: Alert,
  next: Partial<Alert>,
  ask: () => Promise<unknown>,
  what: string,
) {
  await queries.cancelQueries({ queryKey: keys.alerts })
  const patch = (change: Partial<Alert>) =>
    queries.setQueriesData<Lists>(
      { queryKey: keys.alerts },
      lists => lists && patched(lists, alert.id, change),
    )
  patch(next)
  try {
    await ask()
  } catch (error) {
    patch(alert)
    failed(error, what)
  }
  void queries.invalidateQueries({ queryKey: keys.alerts })
}

function patched(lists: Lists, id: string, change: Partial<Alert>): Lists {
  const of = (items: Alert[]) => items.map(item => (item.id === id ? { ...item, ...change } : item))
  if ('pages' in lists) {
    return { ...lists, pages: lists.pages.map(page => ({ ...page, items: of(page.items) })) }
  }
  return { ...lists, items: of(lists.items) }
}

export function acknowledge(alert: Alert) {
  return optimistic(
    alert,
    { status: 'acknowledged' },
    () => body(api.POST('/api/alerts/{id}/acknowledge', { params: { path: { id: alert.id } } })),
    'The alert was not acknowledged',
  )
}

export function resolve(alert: Alert) {
  return optimistic(
    alert,
    { status: 'resolved' },
    () => body(api.POST('/api/alerts/{id}/resolve', { params: { path: { id: alert.id } } })),
    'The alert was not resolved',
  )
}

export function snooze(alert: Alert, hours: number) {
  const until = new Date(Date.now() + hours * 3_600_000).toISOString()
  return optimistic(
    alert,
    { snoozed_until: until },
    () =>
      body(
        api.POST('/api/alerts/{id}/snooze', {
          params: { path: { id: alert.id } },
          body: { until },
        }),
      ),
    'The alert was not snoozed',
  )
}
