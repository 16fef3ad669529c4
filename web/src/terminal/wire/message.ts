/** The control plane of a viewer's stream: text frames `{type, payload}`, as `shared/src/viewer_message.rs`. */

export interface TerminalSize {
  cols: number
  rows: number
}

export interface TerminalOpened {
  channel_id: string
  stream: number
  command_id: string
  program: string
  size: TerminalSize
  /** The viewer that holds its size. */
  holder?: number
  /** The next byte of output this viewer gets. */
  offset: number
  /** Bytes of input taken from this viewer. */
  input_received: number
}

export interface TerminalScreen {
  channel_id: string
  offset: number
  size: TerminalSize
  /** Bytes that draw it on an empty terminal, as base64. */
  screen: string
}

export interface TerminalClosed {
  channel_id: string
  exit_code?: number
  reason?: string
  error?: { code: string; message: string }
}

export interface ViewerInfo {
  viewer: number
  user_id: string
  name: string
  read_only: boolean
}

export interface ChannelSummary {
  channel_id: string
  command: string
  state: {
    state: 'running' | 'ended' | 'failed'
    exit_code?: number | null
    reason?: string | null
  }
  next_offset: number
  /** Missing means a command. */
  feature?: string
}

export type Consent =
  | 'granted'
  | 'refused'
  | 'no_answer'
  | 'nobody_there'
  | 'cannot_ask'
  | 'told'
  | 'unknown'

export interface SessionSnapshot {
  session_id: string
  agent_id: string
  status: string
  opened_at: string
  channels: ChannelSummary[]
  /** This viewer's number within the session. */
  viewer?: number
  read_only?: boolean
  /** What who sits at the machine said, where a policy has them asked or told. */
  consent?: Consent | null
}

/** What the server says; other types are a newer server's and left out. */
export type StreamMessage =
  | { type: 'session'; payload: SessionSnapshot }
  | { type: 'terminal_opened'; payload: TerminalOpened }
  | { type: 'terminal_screen'; payload: TerminalScreen }
  | {
      type: 'terminal_resized'
      payload: { channel_id: string; size: TerminalSize; holder?: number }
    }
  | { type: 'terminal_closed'; payload: TerminalClosed }
  | { type: 'viewers'; payload: { viewers: ViewerInfo[] } }
  | { type: 'suspended'; payload: { grace_seconds: number } }
  | { type: 'resumed' }
  | { type: 'tunnel_error'; payload: { channel_id: string; error: string } }
  | { type: 'session_closed'; payload: { status: string; reason: string } }
  | { type: 'error'; payload: { code: string; message: string } }
  | { type: 'pong' }

export type SignalName = 'interrupt' | 'hangup' | 'quit' | 'terminate' | 'kill'

/** What a viewer says. */
export type ViewerMessage =
  | { type: 'tunnel_data'; payload: { channel_id: string; data: ChannelWord } }
  | { type: 'take_size'; payload: { channel_id: string; size: TerminalSize } }
  | { type: 'ping' }

export type ChannelWord =
  | { type: 'resize'; payload: TerminalSize }
  | { type: 'signal'; payload: { signal: SignalName } }
  | { type: 'close' }

type Check = (value: unknown) => boolean

const isNumber: Check = value => typeof value === 'number' && Number.isFinite(value)
const isText: Check = value => typeof value === 'string'
const isMissing: Check = value => value === undefined || value === null
const maybe =
  (check: Check): Check =>
  value =>
    isMissing(value) || check(value)
const listOf =
  (check: Check): Check =>
  value =>
    Array.isArray(value) && value.every(check)
/** An object that has at least these fields. */
const has =
  (fields: Record<string, Check>): Check =>
  value =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(fields).every(([name, check]) => check((value as Record<string, unknown>)[name]))

const isSize = has({ cols: isNumber, rows: isNumber })

/** What is read of each message; the rest of it may be anything. */
const PAYLOADS: Record<StreamMessage['type'], Check> = {
  session: has({
    session_id: isText,
    agent_id: isText,
    status: isText,
    channels: listOf(
      has({
        channel_id: isText,
        command: isText,
        state: has({ state: isText }),
        next_offset: isNumber,
      }),
    ),
    viewer: maybe(isNumber),
    consent: maybe(isText),
  }),
  terminal_opened: has({
    channel_id: isText,
    stream: isNumber,
    program: isText,
    size: isSize,
    holder: maybe(isNumber),
    offset: isNumber,
    input_received: isNumber,
  }),
  terminal_screen: has({ channel_id: isText, offset: isNumber, size: isSize, screen: isText }),
  terminal_resized: has({ channel_id: isText, size: isSize, holder: maybe(isNumber) }),
  terminal_closed: has({
    channel_id: isText,
    exit_code: maybe(isNumber),
    reason: maybe(isText),
    error: maybe(has({ code: isText, message: isText })),
  }),
  viewers: has({ viewers: listOf(has({ viewer: isNumber, name: isText })) }),
  suspended: has({ grace_seconds: isNumber }),
  resumed: () => true,
  tunnel_error: has({ channel_id: isText, error: isText }),
  session_closed: has({ status: isText, reason: isText }),
  error: has({ code: isText, message: isText }),
  pong: () => true,
}

/** Reads a text message; none where it is of no use to this build. */
export function decodeMessage(text: string): StreamMessage | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!has({ type: isText })(value)) return undefined
  const message = value as { type: string; payload?: unknown }
  if (!Object.hasOwn(PAYLOADS, message.type)) return undefined
  if (!PAYLOADS[message.type as StreamMessage['type']](message.payload)) return undefined
  return message as StreamMessage
}

/** Writes a text message. */
export function encodeMessage(message: ViewerMessage): string {
  return JSON.stringify(message)
}
