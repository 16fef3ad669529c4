import { Status, type Tone } from '~/ui/status'

const SHOWN: Record<string, [Tone, string]> = {
  running: ['info', 'running'],
  paused: ['warn', 'paused'],
  stopped: ['idle', 'stopped'],
  failed: ['bad', 'stopped by itself'],
  completed: ['good', 'completed'],
}

export function RolloutState({ state }: { state: string }) {
  const [tone, text] = SHOWN[state] ?? ['idle', state]
  return <Status tone={tone}>{text}</Status>
}
