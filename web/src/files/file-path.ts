/** Paths of a machine, which may be of either system. Pure. */

export type PathStyle = 'posix' | 'windows'

/** What a path begins with tells what it is. */
export function styleOf(path: string): PathStyle {
  return /^[A-Za-z]:|^\\\\/.test(path) ? 'windows' : 'posix'
}

export function startOf(osFamily: string | null | undefined): string {
  return osFamily === 'windows' ? 'C:\\' : '/'
}

const separator = (style: PathStyle) => (style === 'windows' ? '\\' : '/')

export function isAbsolute(path: string): boolean {
  return /^(?:\/|[A-Za-z]:\\|\\\\[^\\]+\\[^\\]+)/.test(path)
}

/** A path as it is asked for: without separators at its end, and on Windows with backslashes. */
export function tidy(path: string): string {
  const text = path.trim()
  const style = styleOf(text)
  if (style === 'windows') {
    const back = text.replaceAll('/', '\\').replace(/(?<!^)\\+/g, '\\')
    if (/^[A-Za-z]:\\?$/.test(back)) return `${back.slice(0, 2)}\\`
    return back.replace(/\\+$/, '')
  }
  return text.replace(/\/+/g, '/').replace(/(?<=.)\/$/, '')
}

export function join(folder: string, name: string): string {
  const mark = separator(styleOf(folder))
  return folder.endsWith(mark) ? `${folder}${name}` : `${folder}${mark}${name}`
}

/** The folder above; itself at the top. */
export function parentOf(path: string): string {
  const crumbs = crumbsOf(path)
  return (crumbs.at(-2) ?? crumbs.at(-1))?.path ?? path
}

export function nameOf(path: string): string {
  return crumbsOf(path).at(-1)?.name ?? path
}

export interface Crumb {
  name: string
  path: string
}

/** The folders from the top to a path. */
export function crumbsOf(path: string): Crumb[] {
  const style = styleOf(path)
  const mark = separator(style)
  const top = topOf(path, style)
  const crumbs: Crumb[] = [{ name: top, path: top }]
  let so = top
  for (const name of path.slice(top.length).split(mark)) {
    if (name === '') continue
    so = so.endsWith(mark) ? `${so}${name}` : `${so}${mark}${name}`
    crumbs.push({ name, path: so })
  }
  return crumbs
}

function topOf(path: string, style: PathStyle): string {
  if (style === 'posix') return '/'
  return /^(?:[A-Za-z]:\\|\\\\[^\\]+\\[^\\]+)/.exec(path)?.[0] ?? path
}

/** Why a name cannot be one of a file here; the machine may refuse more. */
export function nameProblem(name: string, style: PathStyle): string | undefined {
  if (name === '') return 'A name is needed.'
  if (name === '.' || name === '..') return 'This name stands for a folder.'
  if (name.includes('/') || name.includes('\0')) return 'A name has no slash in it.'
  if (new TextEncoder().encode(name).length > 255) return 'The name is too long.'
  if (style === 'windows' && /[<>:"\\|?*]/.test(name)) {
    return 'On Windows a name has none of < > : " \\ | ? *'
  }
  return undefined
}
