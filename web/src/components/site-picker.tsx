import { Group, Select } from '@mantine/core'
import { useState } from 'react'
import { useClients, useSites } from '~/api/places'

interface SitePickerProps {
  value: string | null
  onChange: (siteId: string | null) => void
}

/** A client, then one of its sites. */
export function SitePicker({ value, onChange }: SitePickerProps) {
  const clients = useClients()
  const sites = useSites()
  const [chosen, setChosen] = useState<string | null>(null)
  const client = chosen ?? sites.data?.find(site => site.id === value)?.client_id ?? null
  return (
    <Group gap="xs" grow align="start">
      <Select
        label="Client"
        placeholder="Choose"
        required
        searchable
        data={clients.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
        value={client}
        onChange={next => {
          setChosen(next)
          onChange(null)
        }}
      />
      <Select
        label="Site"
        placeholder="Choose"
        required
        searchable
        disabled={!client}
        data={
          sites.data
            ?.filter(site => site.client_id === client)
            .map(({ id, name }) => ({ value: id, label: name })) ?? []
        }
        value={value}
        onChange={onChange}
      />
    </Group>
  )
}
