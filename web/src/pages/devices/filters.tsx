import { Button, Checkbox, Group, Menu, SegmentedControl, Select } from '@mantine/core'
import { useClients, useSites } from '~/api/places'
import { Icon } from '~/ui/icons'
import { SearchBox } from '~/ui/search-box'
import { COLUMNS, FIXED, toggledColumn, visibility } from './columns'
import { SavedViews } from './saved-views'
import type { DevicesSearch } from './use-devices'

interface FiltersProps {
  search: DevicesSearch
  change: (change: Partial<DevicesSearch>) => void
  replace: (search: DevicesSearch) => void
}

const SYSTEMS = [
  { value: 'linux', label: 'Linux' },
  { value: 'windows', label: 'Windows' },
  { value: 'macos', label: 'macOS' },
]

export function Filters({ search, change, replace }: FiltersProps) {
  const clients = useClients()
  const sites = useSites(search.client)
  const shown = visibility(search.hide)
  return (
    <Group gap="xs">
      <SearchBox
        label="Search name or device id"
        value={search.q ?? ''}
        onChange={q => change({ q })}
        slash
      />
      <SegmentedControl
        aria-label="State"
        value={search.status ?? ''}
        onChange={status => change({ status })}
        data={[
          { value: '', label: 'All' },
          { value: 'online', label: 'Online' },
          { value: 'offline', label: 'Offline' },
        ]}
      />
      <Select
        aria-label="Client"
        placeholder="All clients"
        w={140}
        clearable
        searchable
        data={clients.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
        value={search.client ?? null}
        onChange={client => change({ client: client ?? '', site: '' })}
      />
      <Select
        aria-label="Site"
        placeholder="All sites"
        w={130}
        clearable
        searchable
        data={sites.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
        value={search.site ?? null}
        onChange={site => change({ site: site ?? '' })}
      />
      <Select
        aria-label="System"
        placeholder="All systems"
        w={116}
        clearable
        data={SYSTEMS}
        value={search.os ?? null}
        onChange={os => change({ os: os ?? '' })}
      />
      <Menu closeOnItemClick={false}>
        <Menu.Target>
          <Button variant="default" leftSection={<Icon name="columns" size={14} />}>
            Columns
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {COLUMNS.filter(column => !FIXED.includes(column.id)).map(column => (
            <Menu.Item
              key={column.id}
              role="menuitemcheckbox"
              aria-checked={shown[column.id] !== false}
              onClick={() => change({ hide: toggledColumn(search.hide, column.id) })}
              leftSection={<Checkbox.Indicator size="xs" checked={shown[column.id] !== false} />}
            >
              {column.header}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <SavedViews search={search} replace={replace} />
    </Group>
  )
}
