import type { Schemas } from '~/api/client'

type Data = Schemas['RegistryData']

export const TYPES = [
  'string',
  'expand_string',
  'multi_string',
  'dword',
  'qword',
  'binary',
] as const
export type ValueType = (typeof TYPES)[number]

/** Names and paths of a key and of those above it. */
export function parents(key: string | undefined): [string, string][] {
  if (!key) return []
  const names = key.split('\\')
  return names.map((name, at) => [name, names.slice(0, at + 1).join('\\')])
}

export function shownData(value: Data): string {
  switch (value.type) {
    case 'multi_string':
      return value.data.join('\n')
    case 'dword':
    case 'qword':
      return `${value.data} (0x${value.data.toString(16)})`
    case 'other':
      return `type ${value.data.number}: ${value.data.bytes}`
    default:
      return value.data
  }
}

/** What was typed, as data of that type, or what is wrong with it. */
export function parseData(type: ValueType, text: string): { data: Data } | { error: string } {
  switch (type) {
    case 'multi_string':
      return { data: { type, data: text.split('\n') } }
    case 'binary': {
      const hex = text.replace(/[\s,]/g, '').toLowerCase()
      return /^([0-9a-f]{2})*$/.test(hex)
        ? { data: { type, data: hex } }
        : { error: 'pairs of hexadecimal digits, as 0a ff' }
    }
    case 'dword':
    case 'qword': {
      const most = type === 'dword' ? 0xffff_ffff : Number.MAX_SAFE_INTEGER
      const value = /^(0x[0-9a-f]+|\d+)$/i.test(text.trim()) ? Number(text.trim()) : Number.NaN
      return Number.isSafeInteger(value) && value <= most
        ? { data: { type, data: value } }
        : { error: `a number up to ${most}, decimal or as 0x1f` }
    }
    default:
      return { data: { type, data: text } }
  }
}
