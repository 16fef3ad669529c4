import { useStore } from '~/util/store'
import { type Action, hindrance } from './actions'
import { session, type User } from './session'

/** Who is logged in. Only for what is shown to those who are. */
export function useUser(): User {
  const now = useStore(session)
  if (now.state === 'active' || now.state === 'expired') return now.user
  throw new Error('nobody is logged in')
}

/** Why the user may not do it now, or null. */
export function useHindrance<A extends Action>(
  action: A,
  ...thing: Parameters<typeof hindrance<A>> extends [unknown, unknown, ...infer R] ? R : never
): string | null {
  return hindrance(action, useUser(), ...(thing as never))
}
