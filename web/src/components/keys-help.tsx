import { Kbd, Modal, Stack, Switch, Table, Title } from '@mantine/core'
import { singleKeys, switchSingleKeys } from '~/util/single-keys'
import { useStore } from '~/util/store'
import { PLACES } from './navigation'

const KEYS: [string, [string, string][]][] = [
  [
    'Everywhere',
    [
      ['Ctrl K', 'Find a device or a page'],
      ['/', 'Search on this page'],
      ['?', 'This help'],
    ],
  ],
  [
    'In lists',
    [
      ['j  k', 'Next, previous row'],
      ['x', 'Select the row'],
      ['Enter', 'Open the row; a device: its terminal'],
      ['Home  End', 'First, last row'],
    ],
  ],
  [
    'In terminals',
    [
      ['Ctrl Shift C / V', 'Copy, paste'],
      ['Ctrl C', 'Copies while text is selected, else interrupts'],
      ['Ctrl Shift F', 'Find in the terminal'],
      ['Ctrl Shift Esc', 'Leave the terminal with the keyboard'],
    ],
  ],
]

export default function KeysHelp({ onClose }: { onClose: () => void }) {
  const single = useStore(singleKeys)
  const pages = PLACES.flatMap(group => group.places)
    .filter(place => place.key)
    .map(place => [`g ${place.key}`, place.name] as [string, string])
  return (
    <Modal opened onClose={onClose} title="Keys" size="md">
      <Stack gap="sm">
        <Switch
          label="Single letters are commands"
          checked={single}
          onChange={event => switchSingleKeys(event.currentTarget.checked)}
        />
        {[...KEYS, ['Pages', pages] as (typeof KEYS)[number]].map(([title, rows]) => (
          <div key={title}>
            <Title order={3} mb={4}>
              {title}
            </Title>
            <Table verticalSpacing={3} withRowBorders={false}>
              <Table.Tbody>
                {rows.map(([keys, does]) => (
                  <Table.Tr key={keys}>
                    <Table.Td w={150}>
                      {keys.split('  ').map(key => (
                        <Kbd key={key} size="xs" mr={4}>
                          {key}
                        </Kbd>
                      ))}
                    </Table.Td>
                    <Table.Td>{does}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </div>
        ))}
      </Stack>
    </Modal>
  )
}
