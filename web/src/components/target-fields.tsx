import { Select, SimpleGrid } from '@mantine/core'
import type { Schemas } from '~/api/client'
import { useClients, useSites } from '~/api/places'

type Filter = Schemas['JobFilter']

/** Which devices something is for: all, or those of a client, a site, a system. */
export function TargetFields({
  value,
  onChange,
}: {
  value: Filter
  onChange: (filter: Filter) => void
}) {
  const clients = useClients()
  const sites = useSites(value.client_id ?? undefined)
  return (
    <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="xs">
      <Select
        label="Client"
        placeholder="All"
        clearable
        searchable
        data={clients.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
        value={value.client_id ?? null}
        onChange={client_id =>
          onChange({ ...value, client_id: client_id ?? undefined, site_id: undefined })
        }
      />
      <Select
        label="Site"
        placeholder="All"
        clearable
        searchable
        data={sites.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
        value={value.site_id ?? null}
        onChange={site_id => onChange({ ...value, site_id: site_id ?? undefined })}
      />
      <Select
        label="System"
        placeholder="All"
        clearable
        data={[
          { value: 'linux', label: 'Linux' },
          { value: 'windows', label: 'Windows' },
          { value: 'macos', label: 'macOS' },
        ]}
        value={value.os_family ?? null}
        onChange={os_family => onChange({ ...value, os_family: os_family ?? undefined })}
      />
    </SimpleGrid>
  )
}
