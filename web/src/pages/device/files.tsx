import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useHindrance } from '~/api/me'
import { FilesPanel } from '~/files'
import { Empty } from '~/ui/empty'
import { type Device, useDevice } from './use-device'

const route = getRouteApi('/inside/devices/$agentId/files')

export default function DeviceFilesPage() {
  const { agentId } = route.useParams()
  const agent = useDevice(agentId).data
  return agent ? <Files agent={agent} /> : null
}

function Files({ agent }: { agent: Device }) {
  const { path } = route.useSearch()
  const navigate = useNavigate()
  const why = useHindrance('openSession', agent)
  if (why)
    return (
      <Empty
        title="The files of this device"
        text={`They come from the machine itself, and ${why}.`}
      />
    )
  return (
    <div style={{ overflow: 'auto', flex: 1, minHeight: 0 }}>
      <FilesPanel
        agentId={agent.id}
        path={path}
        onPath={next =>
          void navigate({
            to: '/devices/$agentId/files',
            params: { agentId: agent.id },
            search: { path: next },
          })
        }
      />
    </div>
  )
}
