import type { Schemas } from '~/api/client'

export const COMMAND_TYPES = [
  { value: 'shell', label: 'Shell (sh, cmd)' },
  { value: 'powershell', label: 'PowerShell' },
  { value: 'python', label: 'Python' },
  { value: 'script', label: 'Script file' },
]

export function typeName(type: Schemas['CommandType']): string {
  if (typeof type !== 'string') return 'Claude task'
  return COMMAND_TYPES.find(one => one.value === type)?.label ?? type
}
