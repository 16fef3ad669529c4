import { Autocomplete, Button, Group, Skeleton, Stack, Text } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useClients, useSites } from '~/api/places'
import { keys, queries } from '~/api/queries'
import { ErrorNote } from '~/ui/error-note'

interface ChoosePlaceProps {
  siteId?: string
  onChosen: (place: { siteId: string; name: string }) => void
}

/** A client and a site by name: those that are there are offered, others are made. */
export function ChoosePlace(props: ChoosePlaceProps) {
  const clients = useClients()
  const sites = useSites()
  if (clients.error || sites.error) {
    return <ErrorNote error={clients.error ?? sites.error} retry={() => void clients.refetch()} />
  }
  if (!clients.data || !sites.data) return <Skeleton height={120} />
  return <PlaceForm {...props} clients={clients.data} sites={sites.data} />
}

interface PlaceFormProps extends ChoosePlaceProps {
  clients: Schemas['Client'][]
  sites: Schemas['Site'][]
}

function PlaceForm({ siteId, onChosen, clients, sites }: PlaceFormProps) {
  const given = sites.find(site => site.id === siteId)
  const [clientName, setClientName] = useState(
    given ? (clients.find(client => client.id === given.client_id)?.name ?? '') : only(clients),
  )
  const client = clients.find(one => same(one.name, clientName))
  const inClient = client ? sites.filter(site => site.client_id === client.id) : []
  const [siteName, setSiteName] = useState(given?.name ?? only(inClient))
  const site = inClient.find(one => same(one.name, siteName))
  const choose = useMutation({
    mutationFn: async () => {
      if (site) return { siteId: site.id, name: site.name }
      const owner =
        client ?? (await body(api.POST('/api/clients', { body: { name: clientName.trim() } })))
      // From here on the client is there, also where the site cannot be made.
      void queries.invalidateQueries({ queryKey: keys.clients })
      const made = await body(
        api.POST('/api/sites', { body: { client_id: owner.id, name: siteName.trim() } }),
      )
      void queries.invalidateQueries({ queryKey: keys.sites })
      return { siteId: made.id, name: made.name }
    },
    onSuccess: onChosen,
  })
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        choose.mutate()
      }}
    >
      <Stack gap="sm">
        <Autocomplete
          size="xs"
          label="Client"
          description={
            clientName.trim() && !client
              ? 'A new client of this name is made'
              : 'Choose one, or type a new name'
          }
          required
          maxLength={100}
          data={clients.map(one => one.name)}
          value={clientName}
          onChange={setClientName}
          data-autofocus
        />
        <Autocomplete
          size="xs"
          label="Site"
          description={
            siteName.trim() && !site
              ? 'A new site of this name is made'
              : 'Choose one, or type a new name'
          }
          required
          maxLength={100}
          data={inClient.map(one => one.name)}
          value={siteName}
          onChange={setSiteName}
        />
        <ErrorNote error={choose.error} />
        <Group justify="space-between">
          <Text size="xs" c="dimmed">
            Step 1 of 2
          </Text>
          <Button
            type="submit"
            loading={choose.isPending}
            disabled={!clientName.trim() || !siteName.trim()}
          >
            Next
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

const same = (a: string, b: string) => a.trim().toLowerCase() === b.trim().toLowerCase()

const only = (places: { name: string }[]) => (places.length === 1 ? (places[0]?.name ?? '') : '')
