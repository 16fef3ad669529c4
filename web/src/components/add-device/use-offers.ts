import { useQuery } from '@tanstack/react-query'
import { fromAnswer } from '~/api/problem'
import { authorizedFetch } from '~/api/transport'
import { askOffers } from './offers'

export function useOffers() {
  return useQuery({ queryKey: ['offers'], queryFn: () => askOffers(ask), staleTime: 5000 })
}

async function ask(path: string) {
  const response = await authorizedFetch(path)
  const text = await response.text()
  if (!response.ok && response.status !== 404) throw fromAnswer(response, null)
  return { status: response.status, text, etag: response.headers.get('etag') }
}
