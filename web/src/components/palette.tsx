import '@mantine/spotlight/styles.css'
import { useDebouncedValue } from '@mantine/hooks'
import { createSpotlight, Spotlight } from '@mantine/spotlight'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { hindrance } from '~/api/actions'
import { api, body } from '~/api/client'
import { useUser } from '~/api/me'
import { keys } from '~/api/queries'
import { Icon } from '~/ui/icons'
import { plain } from '~/util/untrusted'
import { AgentStatus } from './agent-status'
import { PLACES } from './navigation'
import classes from './palette.module.css'

const [store, spotlight] = createSpotlight()

const LIST = 'palette-results'

/** What the server found comes later than what was typed and stands first; Enter goes to it. */
function chooseFirst() {
  const list = document.getElementById(LIST)
  list?.querySelector('[data-selected]')?.removeAttribute('data-selected')
  list?.querySelector('[data-action]')?.setAttribute('data-selected', 'true')
  store.updateState(state => ({ ...state, selected: 0 }))
}

/** Finds a device on the server, or a page. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const user = useUser()
  const navigate = useNavigate()
  const [query, setQuery] = useState('')
  const [asked] = useDebouncedValue(query.trim(), 150)
  const found = useQuery({
    queryKey: [...keys.agents, 'palette', asked],
    queryFn: () => body(api.GET('/api/agents', { params: { query: { q: asked, limit: 8 } } })),
    enabled: asked !== '',
    placeholderData: keepPreviousData,
  })
  useEffect(() => {
    spotlight.open()
  }, [])
  // biome-ignore lint/correctness/useExhaustiveDependencies: new results are what it waits for
  useEffect(chooseFirst, [found.data])
  const places = PLACES.flatMap(group => group.places)
    .filter(place => !place.needs || !hindrance(place.needs, user))
    .filter(place => place.name.toLowerCase().includes(query.trim().toLowerCase()))
  const devices = asked ? (found.data?.items ?? []) : []
  return (
    <Spotlight.Root
      store={store}
      query={query}
      onQueryChange={setQuery}
      onSpotlightClose={onClose}
      shortcut={null}
      clearQueryOnClose={false}
      size={520}
      overlayProps={{ blur: 0, backgroundOpacity: 0.45 }}
      classNames={{ action: classes.action, actionSection: classes.section }}
    >
      <Spotlight.Search
        placeholder="Find a device or page"
        aria-label="Find a device or page"
        leftSection={<Icon name="search" />}
      />
      <Spotlight.ActionsList id={LIST}>
        {devices.length > 0 && (
          <Spotlight.ActionsGroup label="Devices">
            {devices.map(agent => (
              <Spotlight.Action
                key={agent.id}
                label={plain(agent.hostname, 60)}
                onClick={() =>
                  void navigate({ to: '/devices/$agentId', params: { agentId: agent.id } })
                }
                rightSection={<AgentStatus status={agent.status} />}
                leftSection={<Icon name="device" />}
              />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {places.length > 0 && (
          <Spotlight.ActionsGroup label="Pages">
            {places.map(place => (
              <Spotlight.Action
                key={place.to}
                label={place.name}
                leftSection={<Icon name={place.icon} />}
                onClick={() => void navigate({ to: place.to })}
              />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {devices.length + places.length === 0 && (
          <Spotlight.Empty>
            {found.isFetching ? 'Searching…' : 'Nothing of that name'}
          </Spotlight.Empty>
        )}
      </Spotlight.ActionsList>
    </Spotlight.Root>
  )
}
