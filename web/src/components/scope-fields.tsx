import { MultiSelect, SegmentedControl, Stack } from '@mantine/core'
import type { Schemas } from '~/api/client'
import { useClients, useSites } from '~/api/places'

type Scope = Schemas['Scope'] | null | undefined

/** Everything, or some clients with all their sites and some single sites. */
export function ScopeFields({
  value,
  onChange,
}: {
  value: Scope
  onChange: (scope: Schemas['Scope'] | null) => void
}) {
  const clients = useClients()
  const sites = useSites()
  const siteName = (site: Schemas['Site']) =>
    `${clients.data?.find(client => client.id === site.client_id)?.name ?? '…'} › ${site.name}`
  return (
    <Stack gap="xs">
      <SegmentedControl
        aria-label="What it may see"
        value={value ? 'some' : 'all'}
        onChange={next => onChange(next === 'all' ? null : { client_ids: [], site_ids: [] })}
        data={[
          { value: 'all', label: 'Sees everything' },
          { value: 'some', label: 'Sees only' },
        ]}
      />
      {value && (
        <>
          <MultiSelect
            label="Clients"
            searchable
            data={clients.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
            value={value.client_ids ?? []}
            onChange={client_ids => onChange({ ...value, client_ids })}
          />
          <MultiSelect
            label="Single sites"
            searchable
            data={sites.data?.map(site => ({ value: site.id, label: siteName(site) })) ?? []}
            value={value.site_ids ?? []}
            onChange={site_ids => onChange({ ...value, site_ids })}
          />
        </>
      )}
    </Stack>
  )
}

export function scopeName(scope: Scope): string {
  if (!scope) return 'everything'
  const parts = [
    [scope.client_ids?.length ?? 0, 'client'],
    [scope.site_ids?.length ?? 0, 'site'],
  ] as [number, string][]
  const words = parts
    .filter(([count]) => count > 0)
    .map(([count, noun]) => `${count} ${noun}${count === 1 ? '' : 's'}`)
  return words.join(', ') || 'nothing'
}
