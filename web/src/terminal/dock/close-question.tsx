import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { Untrusted } from '~/ui/untrusted'
import { createStore, useStore } from '~/util/store'
import { dock, remove } from '../tabs/dock-store'
import { tabsOf } from '../tabs/layout'
import { detach, tabAtWork } from './tabs-at-work'

const asked = createStore<string | null>(null)

/** Closes a tab; where its program still runs, what is to become of it is asked first. */
export function askToClose(key: string): void {
  const tab = tabAtWork(key)
  const info = tabsOf(dock.get().layout).find(one => one.key === key)
  const runs = tab && tab.state.get().phase === 'open'
  if (runs && !info?.readOnly) asked.set(key)
  else remove(key)
}

export function CloseQuestionHost() {
  const key = useStore(asked)
  const { layout } = useStore(dock)
  const info = tabsOf(layout).find(one => one.key === key)
  if (!info) return null
  const close = () => asked.set(null)
  const then = (act: (key: string) => void) => () => {
    close()
    act(info.key)
  }
  return (
    <Modal opened onClose={close} title="Close this terminal?" size="md">
      <Stack gap="sm">
        <Text size="sm">
          The shell on <Untrusted text={info.agentName} longest={60} /> still runs. End it with all
          that it started, or leave it running: you can come back to it until its session has been
          idle for a while.
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button variant="default" onClick={then(detach)}>
            Leave it running
          </Button>
          <Button color="red.8" onClick={then(remove)} data-autofocus>
            End it
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
