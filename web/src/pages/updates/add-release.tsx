import { Button, Group, Modal, Select, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { CopyLine } from '~/ui/copy-line'
import type { Channel } from './plan'
import { addLine, filesOf, isVersion, PLATFORMS, type Platform, signLine } from './release-lines'

/** Releases are signed where the key is, which is not here: the lines to run, there and on the server. */
export default function AddRelease({ onClose }: { onClose: () => void }) {
  const [version, setVersion] = useState('0.2.0')
  const [platform, setPlatform] = useState<Platform>('linux-x86_64')
  const [channel, setChannel] = useState<Channel>('beta')
  const good = isVersion(version)
  return (
    <Modal opened onClose={onClose} title="Add a release" size="lg">
      <Stack gap="sm">
        <Text size="sm">
          Agents trust the signature of your release key, not this server, so a release is signed
          where that key is and added on the command line. It shows up here within 15 seconds.
        </Text>
        <Group gap="xs" grow align="start">
          <TextInput
            label="Version"
            required
            maxLength={64}
            data-autofocus
            value={version}
            error={good ? undefined : 'three numbers with dots, as 0.2.0'}
            onChange={event => setVersion(event.currentTarget.value)}
          />
          <Select
            label="Platform"
            allowDeselect={false}
            data={[...PLATFORMS]}
            value={platform}
            onChange={value => setPlatform((value ?? platform) as Platform)}
          />
          <Select
            label="Channel"
            allowDeselect={false}
            data={['stable', 'beta']}
            value={channel}
            onChange={value => setChannel((value ?? channel) as Channel)}
          />
        </Group>
        {good && (
          <>
            <Text size="sm">1. Where the key is, best without a network:</Text>
            <CopyLine label="the line that signs" text={signLine(version, platform)} />
            <Text size="sm">
              2. Bring to the server: {filesOf(platform).slice(0, -1).join(', ')} and{' '}
              {filesOf(platform).at(-1)}.
            </Text>
            <Text size="sm">
              3. On the server, as the user that it runs as and with its configuration:
            </Text>
            <CopyLine label="the line that adds" text={addLine(platform, channel)} />
          </>
        )}
        <Text size="xs" c="dimmed">
          Add it to beta first, and the same program to stable when it has proved itself. The same
          version signed anew makes a release last longer.
        </Text>
        <Group justify="flex-end">
          <Button onClick={onClose}>Close</Button>
        </Group>
      </Stack>
    </Modal>
  )
}
