/** Reads what stands in the address; what is no text is as if it were not there. */
export function texts<K extends string>(...names: K[]) {
  return (search: Record<string, unknown>): Partial<Record<K, string>> => {
    const found: Partial<Record<K, string>> = {}
    for (const name of names) {
      const value = search[name]
      if (typeof value === 'string' && value !== '') found[name] = value
      else if (typeof value === 'number' || typeof value === 'boolean') found[name] = String(value)
    }
    return found
  }
}

/** A change of the address: empty texts disappear from it. */
export function changed<S extends object>(before: S, change: Partial<S>): S {
  const next = { ...before, ...change }
  for (const key of Object.keys(next) as (keyof S)[]) {
    if (next[key] === '' || next[key] === undefined || next[key] === null) delete next[key]
  }
  return next
}
