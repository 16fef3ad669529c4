import { Modal } from '@mantine/core'
import { useState } from 'react'
import { ChoosePlace } from './choose-place'
import { RunLine } from './run-line'

/** From nothing to a device that is online: its place, the line to run there, and the wait for it. */
export default function AddDevice({ onClose, siteId }: { onClose: () => void; siteId?: string }) {
  const [place, setPlace] = useState<{ siteId: string; name: string } | null>(null)
  return (
    <Modal opened onClose={onClose} title="Add device" size="lg" closeOnClickOutside={false}>
      {place ? (
        <RunLine
          siteId={place.siteId}
          siteName={place.name}
          onClose={onClose}
          onBack={() => setPlace(null)}
        />
      ) : (
        <ChoosePlace siteId={siteId} onChosen={setPlace} />
      )}
    </Modal>
  )
}
