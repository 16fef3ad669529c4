import { Button, Group, Menu, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useUser } from '~/api/me'
import { FormDialog } from '~/ui/form-dialog'
import { Icon } from '~/ui/icons'
import type { DevicesSearch } from './use-devices'
import { readViews, writeViews } from './views'

interface SavedViewsProps {
  search: DevicesSearch
  replace: (search: DevicesSearch) => void
}

/** Filters, order and columns under a name, for this user in this browser. */
export function SavedViews({ search, replace }: SavedViewsProps) {
  const { id } = useUser()
  const [views, setViews] = useState(() => readViews(id))
  const [naming, setNaming] = useState(false)
  const [name, setName] = useState('')
  const keep = (next: typeof views) => {
    writeViews(id, next)
    setViews(next)
  }
  return (
    <Group gap={4}>
      <Menu width={240}>
        <Menu.Target>
          <Button variant="default" leftSection={<Icon name="star" size={14} />}>
            Views
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {views.length === 0 && (
            <Text size="xs" c="dimmed" p="xs">
              No saved views yet.
            </Text>
          )}
          {views.map(view => (
            <Menu.Item key={view.name} onClick={() => replace(view.search)}>
              {view.name}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<Icon name="save" size={14} />} onClick={() => setNaming(true)}>
            Save this view…
          </Menu.Item>
          {views.length > 0 && <Menu.Label>Delete a view</Menu.Label>}
          {views.map(view => (
            <Menu.Item
              key={view.name}
              leftSection={<Icon name="trash" size={14} />}
              onClick={() => keep(views.filter(one => one !== view))}
            >
              {view.name}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {naming && (
        <FormDialog
          title="Save this view"
          verb="Save"
          ready={name.trim() !== ''}
          onClose={() => setNaming(false)}
          save={async () => {
            keep([...views.filter(view => view.name !== name), { name, search }])
            setName('')
          }}
        >
          {() => (
            <TextInput
              label="Name of the view"
              required
              maxLength={60}
              value={name}
              onChange={event => setName(event.currentTarget.value)}
              data-autofocus
            />
          )}
        </FormDialog>
      )}
    </Group>
  )
}
