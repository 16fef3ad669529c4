import { ActionIcon, Button, Group, Menu } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { confirm } from '~/ui/confirm'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Icon } from '~/ui/icons'
import { Link } from '~/ui/link'
import { SecretDialog } from '~/ui/secret-dialog'
import { Time } from '~/ui/time'
import { useList } from '~/ui/use-list'
import { SiteDialog } from './site-dialog'

const AddDevice = lazy(() => import('~/components/add-device/add-device'))

type Site = Schemas['Site']
type Open =
  | { dialog: 'new' }
  | { dialog: 'rename' | 'add'; site: Site }
  | { dialog: 'secret'; secret: string }

export function Sites({ clientId }: { clientId: string }) {
  const [open, setOpen] = useState<Open | null>(null)
  const mayNot = useHindrance('writeSites')
  const { grid } = useList<Site>({
    queryKey: [...keys.sites, 'of', clientId],
    page: cursor =>
      body(
        api.GET('/api/clients/{id}/sites', {
          params: { path: { id: clientId }, query: { cursor, limit: 200 } },
        }),
      ),
  })
  const again = () => void queries.invalidateQueries({ queryKey: keys.sites })
  const renew = (site: Site) =>
    confirm({
      title: `A new key for ${site.name}?`,
      text: 'The old one stops working for new devices. Those that are there keep their own.',
      verb: 'Make a new key',
      act: async () => {
        const made = await body(
          api.POST('/api/sites/{id}/regenerate-key', { params: { path: { id: site.id } } }),
        )
        if (made.api_key) setOpen({ dialog: 'secret', secret: made.api_key })
      },
    })
  const remove = (site: Site) =>
    confirm({
      title: `Delete ${site.name}?`,
      text: 'All devices in it go too, with their history. Their agents lose their keys.',
      verb: 'Delete',
      danger: true,
      typed: site.name,
      act: async () => {
        await body(
          api.DELETE('/api/sites/{id}', {
            params: { path: { id: site.id }, query: { cascade: true } as never },
          }),
        )
        again()
      },
    })
  const columns: GridColumn<Site>[] = [
    {
      id: 'name',
      header: 'Site',
      width: 'minmax(180px, 2fr)',
      cell: site => (
        <Link to="/devices" search={{ client: clientId, site: site.id }} fw={600} tabIndex={-1}>
          {site.name}
        </Link>
      ),
    },
    {
      id: 'code',
      header: 'Code',
      width: '190px',
      cell: site => <code>{site.site_code ?? '—'}</code>,
    },
    { id: 'created', header: 'Added', width: '120px', cell: site => <Time at={site.created_at} /> },
    {
      id: 'actions',
      header: 'Actions',
      width: '150px',
      end: true,
      cell: site =>
        !mayNot && (
          <Group gap={4} justify="flex-end" wrap="nowrap">
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => setOpen({ dialog: 'add', site })}
            >
              Add device
            </Button>
            <Menu>
              <Menu.Target>
                <ActionIcon size="sm" aria-label={`More for ${site.name}`}>
                  <Icon name="dots" />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item onClick={() => setOpen({ dialog: 'rename', site })}>Rename…</Menu.Item>
                <Menu.Item onClick={() => renew(site)}>New key…</Menu.Item>
                <Menu.Item c="var(--grmm-bad)" onClick={() => remove(site)}>
                  Delete…
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </Group>
        ),
    },
  ]
  return (
    <>
      {!mayNot && (
        <Group>
          <Button onClick={() => setOpen({ dialog: 'new' })}>New site</Button>
        </Group>
      )}
      <Grid
        {...grid}
        label="Sites"
        columns={columns}
        rowKey={siteKey}
        empty={<Empty title="No sites yet" text="A site is a place where devices stand." />}
      />
      {open?.dialog === 'new' && (
        <SiteDialog
          clientId={clientId}
          onClose={() => setOpen(now => (now?.dialog === 'new' ? null : now))}
          onMade={site => site.api_key && setOpen({ dialog: 'secret', secret: site.api_key })}
        />
      )}
      {open?.dialog === 'rename' && (
        <SiteDialog clientId={clientId} site={open.site} onClose={() => setOpen(null)} />
      )}
      {open?.dialog === 'secret' && (
        <SecretDialog
          title="The site’s key"
          what="the site’s key"
          secret={open.secret}
          onClose={() => setOpen(null)}
        />
      )}
      <Suspense>
        {open?.dialog === 'add' && (
          <AddDevice siteId={open.site.id} onClose={() => setOpen(null)} />
        )}
      </Suspense>
    </>
  )
}

const siteKey = (site: Site) => site.id
