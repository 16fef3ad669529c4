import { Center, Loader } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useEffect, useRef } from 'react'
import { recall } from '~/api/login'
import { queries } from '~/api/queries'
import { session } from '~/api/session'
import { ErrorNote } from '~/ui/error-note'
import { useStore } from '~/util/store'
import { LoginAgain } from './login-again'
import { LoginForm } from './login-form'

const Shell = lazy(() => import('./shell'))

/** Shows the pages to those who are logged in, and the log-in to others at the same address. */
export function Gate() {
  const now = useStore(session)
  const asked = useQuery({
    queryKey: ['recall'],
    queryFn: async () => {
      await recall()
      return true
    },
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  })
  useForgetting(now.state === 'active' || now.state === 'expired' ? now.user.id : null)
  if (now.state === 'unknown') {
    return (
      <Center h="100%" p="md">
        {asked.error ? (
          <ErrorNote error={asked.error} retry={() => void asked.refetch()} />
        ) : (
          <Loader size="sm" aria-label="Loading" />
        )}
      </Center>
    )
  }
  if (now.state === 'anonymous') return <LoginForm />
  return (
    <Suspense>
      <Shell />
      {now.state === 'expired' && <LoginAgain user={now.user} />}
    </Suspense>
  )
}

/** What one user has seen is not shown to the next. */
function useForgetting(userId: string | null) {
  const before = useRef(userId)
  useEffect(() => {
    if (before.current && before.current !== userId) {
      queries.removeQueries({ predicate: query => query.queryKey[0] !== 'recall' })
    }
    before.current = userId
  }, [userId])
}
