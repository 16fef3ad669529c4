import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useEffect } from 'react'
import { plural } from '~/util/format'
import { plain } from '~/util/untrusted'
import { preferences } from '../preferences'
import { excerpt, needsQuestion, onOneLine, pasteOf } from '../screen/paste'
import classes from './dock.module.css'
import type { TerminalTab } from './terminal-tab'

/** Pastes one line at once, and asks before several: a shell may run each of them. */
export function PasteQuestion({ tab, raw }: { tab: TerminalTab; raw: string }) {
  const paste = pasteOf(raw)
  const asks = preferences.get().askBeforePaste && needsQuestion(paste)
  useEffect(() => {
    if (!asks) tab.paste(paste.text)
  })
  if (!asks) return null
  const cancel = () => tab.paste(undefined)
  return (
    <Modal
      opened
      onClose={cancel}
      title={`Paste ${plural(paste.lines, 'line')}?`}
      size="lg"
      returnFocus={false}
    >
      <Stack gap="sm">
        <Text size="sm">
          {tab.screen.takesBracketedPaste
            ? 'The program takes it as one paste; it should not run before you press Enter.'
            : 'The program may run each line at once.'}
          {paste.removed > 0 && ` ${plural(paste.removed, 'control character')} were taken out.`}
        </Text>
        <pre className={classes.excerpt}>
          {excerpt(paste)
            .map(line => plain(line))
            .join('\n')}
        </pre>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={cancel}>
            Cancel
          </Button>
          {paste.text.includes('\n') && (
            <Button variant="default" onClick={() => tab.paste(onOneLine(paste))}>
              Paste on one line
            </Button>
          )}
          <Button onClick={() => tab.paste(paste.text)} data-autofocus>
            Paste
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
