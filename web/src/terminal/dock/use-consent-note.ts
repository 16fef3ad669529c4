import { useQuery } from '@tanstack/react-query'
import { api, body } from '~/api/client'
import { keys } from '~/api/queries'
import type { SessionView } from '../session/session-view'
import type { Consent } from '../wire/message'

interface ConsentNote {
  tone: 'info' | 'warn'
  text: string
}

const TOLD: ConsentNote = {
  tone: 'info',
  text: 'The person at the machine was told that you are here.',
}

/** What is said of each answer; others are a newer server's. */
export const CONSENT_NOTES: Partial<Record<Consent, ConsentNote>> = {
  granted: { tone: 'info', text: 'The person at the machine was asked and has agreed.' },
  told: TOLD,
  no_answer: {
    tone: 'warn',
    text: 'The person at the machine was asked and did not answer; the policy lets you in.',
  },
  nobody_there: {
    tone: 'info',
    text: 'Nobody was at the machine to be asked or told; the policy lets you in.',
  },
  cannot_ask: {
    tone: 'info',
    text: 'The machine cannot ask or tell who sits at it; the policy lets you in.',
  },
}

/** The missing of a policy. */
const ANSWER_SECONDS = 60

function useTunnelPolicy(agentId: string) {
  const policy = useQuery({
    queryKey: [...keys.policies, 'of', agentId],
    queryFn: () => body(api.GET('/api/agents/{id}/policy', { params: { path: { id: agentId } } })),
    staleTime: 60_000,
    retry: false,
  })
  return policy.data?.effective.tunnel
}

/** Whether the person at the machine knows of the session: as the session says, or as the device's policy does. */
export function useConsentNote(agentId: string, view: SessionView): ConsentNote | undefined {
  const tunnel = useTunnelPolicy(agentId)
  if (view.consent) return CONSENT_NOTES[view.consent]
  return tunnel?.tell_person ? TOLD : undefined
}

/** How long the person at the machine has to answer before a session opens; none where nobody is asked. */
export function useAskedSeconds(agentId: string): number | undefined {
  const tunnel = useTunnelPolicy(agentId)
  if (tunnel?.consent !== 'required') return undefined
  return tunnel.consent_timeout_seconds ?? ANSWER_SECONDS
}
