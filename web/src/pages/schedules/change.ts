import { api, body, type Schemas } from '~/api/client'
import type { User } from '~/api/session'

type Schedule = Schemas['Schedule']

/** Its owner, and administrators who see everything, may change it. */
export function owns(user: User, schedule: Schedule): boolean {
  const owner = schedule.owner as { id?: string } | null | undefined
  return owner?.id === user.id || (user.role === 'administrator' && !user.scope)
}

/** What is sent to have it as it is. */
export function asSaved(schedule: Schedule): Schemas['NewSchedule'] {
  const {
    command,
    command_type,
    script_id,
    parameters,
    cron,
    elevated,
    enabled,
    expires_in_seconds,
  } = schedule
  return {
    name: schedule.name,
    cron,
    time_zone: schedule.time_zone,
    when_offline: schedule.when_offline as 'skip',
    filter: schedule.filter,
    enabled,
    elevated,
    timeout_seconds: schedule.timeout_seconds ?? undefined,
    expires_in_seconds: expires_in_seconds ?? undefined,
    ...(script_id
      ? { script_id, parameters: parameters as never }
      : { command: command ?? '', command_type: command_type ?? undefined }),
  }
}

export async function setEnabled(schedule: Schedule, enabled: boolean): Promise<void> {
  await body(
    api.PUT('/api/schedules/{id}', {
      params: { path: { id: schedule.id } },
      body: { ...asSaved(schedule), enabled },
    }),
  )
}

export function runNow(id: string) {
  return body(api.POST('/api/schedules/{id}/run', { params: { path: { id } } }))
}
