import { useClients, useSites } from '~/api/places'
import { DeviceName } from '~/components/device-name'

interface Target {
  client_id?: string | null
  site_id?: string | null
  agent_id?: string | null
}

/** For what something holds: all devices, a client, a site, one device. */
export function TargetName({ target }: { target: Target }) {
  const clients = useClients()
  const sites = useSites()
  if (target.agent_id) return <DeviceName id={target.agent_id} />
  if (target.site_id) {
    const site = sites.data?.find(one => one.id === target.site_id)
    const client = clients.data?.find(one => one.id === site?.client_id)
    return <>{`site ${client?.name ?? '…'} › ${site?.name ?? '…'}`}</>
  }
  if (target.client_id)
    return <>{`client ${clients.data?.find(one => one.id === target.client_id)?.name ?? '…'}`}</>
  return <>all devices</>
}
