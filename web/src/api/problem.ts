import type { components } from './schema'

type Problem = components['schemas']['Problem']

/** An error as the server tells it (RFC 9457), or that it could not be reached (status 0). */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly field: string | null
  readonly requestId: string | null

  constructor(problem: Partial<Problem> & { detail: string }) {
    super(problem.detail)
    this.name = 'ApiError'
    this.status = problem.status ?? 0
    this.code = problem.code ?? 'unknown'
    this.field = problem.field ?? null
    this.requestId = problem.request_id ?? null
  }
}

export function unreachable(): ApiError {
  return new ApiError({
    status: 0,
    code: 'unreachable',
    detail: 'the server cannot be reached',
  })
}

export function fromAnswer(response: Response, body: unknown): ApiError {
  const requestId = response.headers.get('x-request-id') ?? undefined
  if (body && typeof body === 'object' && 'detail' in body) {
    const problem = body as Problem
    return new ApiError({ ...problem, request_id: problem.request_id ?? requestId })
  }
  return new ApiError({
    status: response.status,
    code: 'unexpected_answer',
    detail: `the server answered ${response.status} without saying why`,
    request_id: requestId,
  })
}

/** What may be done about it, in words; null where the cause already says it. */
export function nextStep(error: unknown): string | null {
  if (!(error instanceof ApiError)) return 'Reload the page. If it comes again, report it.'
  const known = NEXT_STEPS[error.code]
  if (known) return known
  if (error.status === 0) return 'Check your connection; it is tried again by itself.'
  if (error.status === 403) return 'Ask an administrator for the right to do this.'
  if (error.status === 404) return 'It may have been deleted meanwhile. Go back to the list.'
  if (error.status === 412) return 'Someone changed it meanwhile. Reload to see what it is now.'
  if (error.status === 429) return 'Wait a moment, then try again.'
  if (error.status >= 500)
    return 'Try again. If it stays so, look for the request id in the log of the server.'
  return null
}

const NEXT_STEPS: Record<string, string> = {
  agent_offline: 'Wait until the device is back online.',
  out_of_scope: 'Ask an administrator to widen your scope.',
  invalid_credentials: 'Check e-mail and password, also for capitals.',
  last_administrator: 'Make someone else an administrator first.',
  too_many_sessions: 'End a session that you do not need, under Sessions.',
  session_exists: 'Your session to this device is open already; use it.',
  command_not_allowed: 'The policy of this device denies the command. See its policy for the rule.',
  tunnel_not_allowed: 'The policy of this device leaves sessions to other roles.',
  feature_not_allowed: 'The policy of this device leaves this to other roles.',
  consent_refused: 'Talk to them, then ask again.',
  consent_not_answered: 'Call them, then ask again.',
  nobody_to_ask: 'The policy of this device can let you in when nobody is there.',
  release_in_use: 'Stop the rollout on this page, or wait for its end. Then delete the release.',
  release_expired: 'Sign the same program anew, and add it: Add a release says how.',
  rollout_open: 'It is in the list of rollouts.',
  no_release: 'Add a release for its platform and channel, under Updates.',
  no_signed_update: 'Add device says the line that installs it.',
  setup_done: 'Log in instead.',
  wrong_setup_token: 'Copy it from there, as a whole.',
  unreachable: 'Check your connection; it is tried again by itself.',
}
