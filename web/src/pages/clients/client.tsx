import { Button, Skeleton, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, body, versioned } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { confirm } from '~/ui/confirm'
import { ErrorNote } from '~/ui/error-note'
import { Link, LinkButton } from '~/ui/link'
import { Page } from '~/ui/page'
import { told } from '~/ui/toast'
import { ClientDialog } from './client-dialog'
import { Sites } from './sites'

const route = getRouteApi('/inside/clients/$clientId')

export default function ClientPage() {
  const { clientId } = route.useParams()
  const navigate = useNavigate()
  const [renaming, setRenaming] = useState(false)
  const mayNot = useHindrance('writeClients')
  const asked = useQuery({
    queryKey: [...keys.clients, clientId],
    queryFn: () => versioned(api.GET('/api/clients/{id}', { params: { path: { id: clientId } } })),
  })
  const client = asked.data?.value
  const remove = () =>
    confirm({
      title: `Delete ${client?.name}?`,
      text: 'Its sites and all devices in them go too, with their history. Their agents lose their keys.',
      verb: 'Delete everything of it',
      danger: true,
      typed: client?.name,
      act: async () => {
        await body(
          api.DELETE('/api/clients/{id}', {
            params: { path: { id: clientId }, query: { cascade: true } as never },
          }),
        )
        await queries.invalidateQueries()
        told(`${client?.name} is deleted`)
        void navigate({ to: '/clients' })
      },
    })
  return (
    <Page
      title={client?.name ?? 'Client'}
      fill
      heading={
        <Title order={1}>
          <Link to="/clients" c="dimmed" fw={400}>
            Clients
          </Link>{' '}
          › {client?.name ?? '…'}
        </Title>
      }
      actions={
        client && (
          <>
            <LinkButton to="/devices" search={{ client: client.id }}>
              Its devices
            </LinkButton>
            <LinkButton
              to="/policies/$policyId"
              params={{ policyId: 'new' }}
              search={{ level: 'client', target: client.id }}
            >
              Policy
            </LinkButton>
            {!mayNot && (
              <>
                <Button variant="default" onClick={() => setRenaming(true)}>
                  Rename
                </Button>
                <Button variant="default" c="var(--grmm-bad)" onClick={remove}>
                  Delete…
                </Button>
              </>
            )}
          </>
        )
      }
    >
      <ErrorNote error={client ? null : asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={120} />}
      {client && <Sites clientId={client.id} />}
      {renaming && client && (
        <ClientDialog client={client} etag={asked.data?.etag} onClose={() => setRenaming(false)} />
      )}
    </Page>
  )
}
