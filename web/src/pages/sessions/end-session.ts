import { keys, queries } from '~/api/queries'
import { endSession } from '~/api/tunnel-session'
import { confirm } from '~/ui/confirm'

export function endWithQuestion(sessionId: string) {
  confirm({
    title: 'End this session?',
    text: 'What runs in it ends too: terminals, commands, transfers.',
    verb: 'End session',
    danger: true,
    act: async () => {
      await endSession(sessionId)
      await queries.invalidateQueries({ queryKey: keys.sessions })
    },
  })
}
