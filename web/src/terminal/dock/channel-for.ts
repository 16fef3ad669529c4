import { api, body } from '~/api/client'
import type { TerminalChannel } from '../session/terminal-channel'
import type { ViewerLink } from '../session/viewer-link'
import type { TabInfo } from '../tabs/layout'
import type { TerminalSize } from '../wire/message'

const USUAL_SIZE: TerminalSize = { cols: 80, rows: 24 }

/** The terminal that a tab shows: one that is there, the first to be watched, or a new one. */
export async function channelFor(
  { channelId, shell, workingDirectory, readOnly }: TabInfo,
  link: ViewerLink,
  size: TerminalSize | undefined,
): Promise<TerminalChannel> {
  if (channelId) return await link.attach(channelId)
  if (readOnly) return await link.anyTerminal()
  return await link.openTerminal(async () => {
    const opened = await body(
      api.POST('/api/v1/tunnel/{session_id}/terminal', {
        params: { path: { session_id: link.sessionId } },
        body: {
          ...(size ?? USUAL_SIZE),
          shell: shell ?? null,
          working_directory: workingDirectory ?? null,
        },
      }),
    )
    return opened.channel_id
  })
}
