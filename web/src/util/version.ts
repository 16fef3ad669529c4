/** As semver orders them, without what stands behind `+`. */
export function newerFirst(a: string, b: string): number {
  const [coreA, preA] = split(a)
  const [coreB, preB] = split(b)
  for (let at = 0; at < 3; at += 1) {
    const difference = (coreB[at] ?? 0) - (coreA[at] ?? 0)
    if (difference) return difference
  }
  if (!preA || !preB) return preA ? 1 : preB ? -1 : 0
  return preB.localeCompare(preA, 'en', { numeric: true })
}

function split(version: string): [number[], string] {
  const [whole = ''] = version.split('+')
  const [core = '', ...pre] = whole.split('-')
  return [core.split('.').map(Number), pre.join('-')]
}
