import { texts } from '~/util/search-params'
import type { DevicesSearch } from './use-devices'

export interface View {
  name: string
  search: DevicesSearch
}

const place = (userId: string) => `gururmm.views.${userId}`
const fields = texts('q', 'status', 'client', 'site', 'os', 'sort', 'hide')

export function readViews(userId: string): View[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(place(userId)) ?? '[]')
    if (!Array.isArray(kept)) return []
    return kept
      .filter(view => typeof view?.name === 'string' && view.search)
      .map(view => ({ name: view.name, search: fields(view.search) }))
  } catch {
    return []
  }
}

export function writeViews(userId: string, views: View[]): void {
  localStorage.setItem(place(userId), JSON.stringify(views))
}
