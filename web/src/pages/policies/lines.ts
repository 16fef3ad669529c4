import type { Schemas } from '~/api/client'

type Pattern = Schemas['CommandPattern']
type Watched = Schemas['WatchedService']

/** A pattern a line; `re:` before a regular expression, anything else is a glob. */
export function toPatterns(text: string): Pattern[] {
  // Spaces at an end are a part of the pattern: `^rm ` is not `^rm`.
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => (line.startsWith('re:') ? { regex: line.slice(3) } : { glob: line }))
}

export function fromPatterns(patterns: Pattern[]): string {
  return patterns.map(one => ('regex' in one ? `re:${one.regex}` : one.glob)).join('\n')
}

/** `NAME ACTION MOST_RESTARTS COOLDOWN_SECONDS`, of which only the name is needed. */
export function toServices(text: string): Watched[] {
  return lines(text).map(line => {
    const [name = '', action, most, cooldown] = line.split(/\s+/)
    return {
      name,
      ...(action && { action: action as Watched['action'] }),
      ...(most && { max_restarts: Number(most) }),
      ...(cooldown && { restart_cooldown_seconds: Number(cooldown) }),
    }
  })
}

export function fromServices(services: Watched[]): string {
  return services
    .map(one =>
      [one.name, one.action, one.max_restarts, one.restart_cooldown_seconds]
        .filter(part => part !== undefined)
        .join(' '),
    )
    .join('\n')
}

export function lines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(Boolean)
}
