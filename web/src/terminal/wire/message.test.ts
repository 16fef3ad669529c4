import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { decodeMessage, encodeMessage, type StreamMessage, type ViewerMessage } from './message'

/** The messages that every build reads for ever, as the Rust tests hold them. */
const GOLDEN = join(import.meta.dirname, '../../../../shared/tests/golden/protocol-2')
const golden = (name: string): unknown => JSON.parse(readFileSync(join(GOLDEN, name), 'utf8'))

const UNUSED = ['channel_opened', 'output_gap', 'tunnel_data']
const used = readdirSync(join(GOLDEN, 'stream')).filter(
  name => !UNUSED.some(type => name.startsWith(`${type}.`)),
)

test.each(used)('stream/%s is read', name => {
  const value = golden(`stream/${name}`)
  expect(decodeMessage(JSON.stringify(value))).toEqual(value)
})

test('the terminal of a session is told from its commands', () => {
  const message = decodeMessage(JSON.stringify(golden('stream/session.terminal.json'))) as Extract<
    StreamMessage,
    { type: 'session' }
  >
  expect(message.payload.channels.map(channel => channel.feature)).toEqual(['terminal'])
  expect(message.payload.viewer).toBe(2)
  expect(message.payload.read_only).toBe(true)
})

const size = { cols: 120, rows: 40 }
const word = (
  data: Extract<ViewerMessage, { type: 'tunnel_data' }>['payload']['data'],
): ViewerMessage => ({
  type: 'tunnel_data',
  payload: { channel_id: 'terminal-1', data },
})
const WRITTEN: [string, ViewerMessage][] = [
  ['ping', { type: 'ping' }],
  ['take_size', { type: 'take_size', payload: { channel_id: 'terminal-1', size } }],
  ['tunnel_data.close', word({ type: 'close' })],
  ['tunnel_data.resize', word({ type: 'resize', payload: size })],
  ['tunnel_data.signal', word({ type: 'signal', payload: { signal: 'interrupt' } })],
]

test.each(WRITTEN)('viewer/%s.json is what is written', (name, message) => {
  expect(JSON.parse(encodeMessage(message))).toEqual(golden(`viewer/${name}.json`))
})

test.each([
  '',
  'null',
  '[]',
  '{"type":7}',
  '{"type":"__proto__"}',
  '{"type":"constructor"}',
  '{"type":"viewers"}',
  '{"type":"viewers","payload":{"viewers":{}}}',
  '{"type":"terminal_opened","payload":{"channel_id":"a"}}',
  '{"type":"something_new","payload":{}}',
])('%s is left out', text => {
  expect(decodeMessage(text)).toBeUndefined()
})

test('fields of a newer server do no harm', () => {
  expect(decodeMessage('{"type":"pong","payload":{"new":1}}')).toBeDefined()
})
