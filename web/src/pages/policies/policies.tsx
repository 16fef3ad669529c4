import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { api, body, type Schemas } from '~/api/client'
import { useHindrance } from '~/api/me'
import { keys } from '~/api/queries'
import { Empty } from '~/ui/empty'
import { Grid, type GridColumn } from '~/ui/grid'
import { Link, LinkButton } from '~/ui/link'
import { Page } from '~/ui/page'
import { Time } from '~/ui/time'
import { plural } from '~/util/format'
import { flatSettings } from './settings'
import { TargetName } from './target-name'

type Policy = Schemas['Policy']

const COLUMNS: GridColumn<Policy>[] = [
  {
    id: 'name',
    header: 'Name',
    width: 'minmax(180px, 2fr)',
    cell: policy => (
      <Link to="/policies/$policyId" params={{ policyId: policy.id }} fw={600} tabIndex={-1}>
        {policy.name}
      </Link>
    ),
  },
  {
    id: 'target',
    header: 'For',
    width: 'minmax(160px, 1.5fr)',
    cell: policy => <TargetName target={policy} />,
  },
  {
    id: 'settings',
    header: 'Says',
    width: '130px',
    cell: policy => plural(flatSettings(policy.settings).length, 'setting'),
  },
  {
    id: 'updated',
    header: 'Changed',
    width: '120px',
    cell: policy => <Time at={policy.updated_at} />,
  },
]

export default function PoliciesPage() {
  const navigate = useNavigate()
  const mayNot = useHindrance('writePolicies')
  const policies = useQuery({
    queryKey: [...keys.policies, 'list'],
    queryFn: () => body(api.GET('/api/policies')),
  })
  return (
    <Page
      title="Policies"
      fill
      actions={
        !mayNot && (
          <LinkButton to="/policies/$policyId" params={{ policyId: 'new' }} variant="filled">
            New policy
          </LinkButton>
        )
      }
    >
      <Grid
        label="Policies"
        columns={COLUMNS}
        rows={policies.data?.items as Policy[] | undefined}
        rowKey={policyKey}
        onOpen={({ id }) => void navigate({ to: '/policies/$policyId', params: { policyId: id } })}
        error={policies.error}
        retry={() => void policies.refetch()}
        empty={
          <Empty
            title="No policies yet"
            text="A policy sets what holds for all devices, for a client, a site or one device; the nearest wins, setting by setting."
          />
        }
      />
    </Page>
  )
}

const policyKey = (policy: Policy) => policy.id
