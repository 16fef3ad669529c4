import { words } from '~/util/format'

export const ROLES = (['administrator', 'technician', 'read_only'] as const).map(value => ({
  value,
  label: words(value),
}))
