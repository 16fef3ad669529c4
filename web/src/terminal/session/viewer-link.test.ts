import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { decodeFrame, encodeFrame, type Frame, ResetCode } from '../wire/frame'
import type { TerminalSink } from './terminal-channel'
import { type LinkWorld, ViewerLink } from './viewer-link'

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const encode = (text: string) => new TextEncoder().encode(text)

class Refused extends Error {}

/** A socket whose other end is the test. */
class FakeSocket {
  readyState: number = WebSocket.OPEN
  binaryType = ''
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  readonly frames: Frame[] = []
  readonly words: { type: string; payload?: unknown }[] = []

  constructor(readonly query: URLSearchParams) {}

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (typeof data === 'string') this.words.push(JSON.parse(data))
    else this.frames.push(decodeFrame(data.buffer))
  }

  close(): void {
    this.readyState = WebSocket.CLOSED
  }

  say(type: string, payload?: unknown): void {
    this.onmessage?.({ data: JSON.stringify({ type, payload }) })
  }

  frame(frame: Frame): void {
    this.onmessage?.({ data: encodeFrame(frame).buffer })
  }

  data(offset: number, text: string, stream = 7): void {
    this.frame({ kind: 'data', stream, offset: BigInt(offset), bytes: encode(text) })
  }

  breaks(code = 1006, reason = ''): void {
    this.readyState = WebSocket.CLOSED
    this.onclose?.({ code, reason })
  }

  /** What was typed, by offset. */
  typed(): [number, string][] {
    return this.frames.flatMap(frame =>
      frame.kind === 'data'
        ? [[Number(frame.offset), decode(frame.bytes)] as [number, string]]
        : [],
    )
  }

  greet(offset = 0, received = 0, channels = ['terminal-1']): void {
    this.say('session', {
      session_id: 's',
      agent_id: 'a',
      status: 'ready',
      opened_at: '2026-03-01T12:00:00Z',
      viewer: 1,
      channels: channels.map(channel_id => ({
        channel_id,
        command: 'sh',
        state: { state: 'running' },
        next_offset: 0,
        feature: 'terminal',
      })),
    })
    if (channels.includes('terminal-1')) this.opens(offset, received)
  }

  opens(offset = 0, received = 0, id = 'terminal-1', stream = 7): void {
    this.say('terminal_opened', {
      channel_id: id,
      stream,
      command_id: 'c',
      program: '/bin/sh',
      size: { cols: 80, rows: 24 },
      holder: 1,
      offset,
      input_received: received,
    })
    this.frame({ kind: 'window', stream, limit: BigInt(received + 65_536) })
  }
}

let sockets: FakeSocket[]
let refusal: Error | undefined
let links: ViewerLink[]
const last = (): FakeSocket => {
  const socket = sockets.at(-1)
  if (!socket) throw new Error('no socket')
  return socket
}

const world: LinkWorld = {
  ticket: async () => {
    if (refusal) throw refusal
    return `ticket-${sockets.length}`
  },
  open: (_, query) => {
    const socket = new FakeSocket(query)
    sockets.push(socket)
    return socket as unknown as WebSocket
  },
  isPassing: error => !(error instanceof Refused),
  outcome: () => ({ state: 'closed', reason: 'session_closed' }),
}

/** A sink that parses at once, or when it is told to. */
class Screen implements TerminalSink {
  text = ''
  holding = false
  readonly waiting: (() => void)[] = []

  write(bytes: Uint8Array, done: () => void): void {
    this.text += decode(bytes)
    if (this.holding) this.waiting.push(done)
    else done()
  }

  screen(bytes: Uint8Array): void {
    this.text = decode(bytes)
  }
}

async function opened() {
  const link = new ViewerLink('s', world)
  links.push(link)
  await vi.advanceTimersByTimeAsync(0)
  const opening = link.openTerminal(async () => 'terminal-1')
  last().greet()
  const channel = await opening
  const screen = new Screen()
  channel.connect(screen)
  return { link, channel, screen }
}

async function comesBack() {
  await vi.advanceTimersByTimeAsync(10_000)
  return last()
}

beforeEach(() => {
  vi.useFakeTimers()
  sockets = []
  refusal = undefined
  links = []
})

afterEach(() => {
  for (const link of links) link.close()
})

test('a terminal is typed into and read', async () => {
  const { channel, screen, link } = await opened()
  expect(link.state.get()).toEqual({ state: 'connected' })
  channel.type(encode('ls\r'))
  expect(last().typed()).toEqual([[0, 'ls\r']])
  last().data(0, 'file\r\n')
  expect(screen.text).toBe('file\r\n')
})

test('a lost connection comes back to the same shell with nothing lost and nothing twice', async () => {
  const { channel, screen, link } = await opened()
  channel.type(encode('abc'))
  last().data(0, 'one ')
  last().breaks()
  expect(link.state.get().state).toBe('reconnecting')
  channel.type(encode('def'))
  const second = await comesBack()
  expect(sockets).toHaveLength(2)
  expect(second.query.get('from.terminal-1')).toBe('4')
  expect(second.query.get('viewer')).toBe(sockets[0]?.query.get('viewer'))
  expect(second.query.get('ticket')).not.toBe(sockets[0]?.query.get('ticket'))
  second.greet(4, 1)
  second.data(4, 'two ')
  expect(second.typed()).toEqual([[1, 'bcdef']])
  expect(screen.text).toBe('one two ')
  expect(link.state.get()).toEqual({ state: 'connected' })
})

test('bytes that the server sends again are shown once', async () => {
  const { screen } = await opened()
  last().data(0, 'abcd')
  last().data(2, 'cdef')
  expect(screen.text).toBe('abcdef')
})

test('credit comes back when the bytes are parsed, not when they come', async () => {
  const { screen } = await opened()
  screen.holding = true
  const piece = 'x'.repeat(32 * 1024)
  for (let at = 0; at < 4; at += 1) last().data(at * piece.length, piece)
  const windows = () =>
    last()
      .frames.filter(frame => frame.kind === 'window')
      .slice(1)
  expect(windows()).toEqual([])
  for (const done of screen.waiting) done()
  expect(windows()).toEqual([{ kind: 'window', stream: 7, limit: BigInt(256 * 1024 + 128 * 1024) }])
})

test('a gap cuts that terminal off and tells the server', async () => {
  const { channel } = await opened()
  last().data(5, 'x')
  expect(channel.state.get().ended).toMatchObject({
    kind: 'cut_off',
    reset: { code: ResetCode.gap },
  })
  expect(last().frames.at(-1)).toMatchObject({ kind: 'reset', code: ResetCode.gap })
})

test('a terminal that nobody here shows is let go', async () => {
  await opened()
  last().opens(0, 0, 'terminal-2', 9)
  expect(last().frames.at(-1)).toMatchObject({
    kind: 'reset',
    stream: 9,
    code: ResetCode.cancelled,
  })
})

test('a terminal that was let go is attached by a new connection, from its screen', async () => {
  const { link } = await opened()
  last().opens(0, 0, 'terminal-2', 9)
  const attaching = link.attach('terminal-2')
  await vi.advanceTimersByTimeAsync(10)
  expect(sockets).toHaveLength(2)
  last().greet(0, 0, ['terminal-1', 'terminal-2'])
  last().opens(500, 0, 'terminal-2', 9)
  const channel = await attaching
  const screen = new Screen()
  channel.connect(screen)
  last().say('terminal_screen', {
    channel_id: 'terminal-2',
    offset: 500,
    size: { cols: 80, rows: 24 },
    screen: btoa('$ '),
  })
  last().data(500, 'x', 9)
  expect(screen.text).toBe('$ x')
})

test('a terminal that is no longer there is not waited for', async () => {
  const { link } = await opened()
  const attaching = link.attach('terminal-9').catch(error => error)
  await vi.advanceTimersByTimeAsync(10)
  last().greet()
  expect(await attaching).toEqual(new Error('this terminal is no longer there'))
})

test('a server that has forgotten this viewer is not typed the same twice', async () => {
  const { channel } = await opened()
  channel.type(encode('reboot\r'))
  await vi.advanceTimersByTimeAsync(250)
  expect(last().words.at(-1)).toEqual({ type: 'ping' })
  last().say('pong')
  last().breaks(1001)
  channel.type(encode('x'))
  const second = await comesBack()
  second.greet(0, 0)
  expect(second.typed()).toEqual([[0, 'x']])
})

test('a late answer to an early question says nothing about what was typed since', async () => {
  const { channel } = await opened()
  channel.type(encode('a'))
  await vi.advanceTimersByTimeAsync(250)
  channel.type(encode('b'))
  window.dispatchEvent(new Event('offline'))
  last().say('pong')
  expect(channel.typed.isUnconfirmed).toBe(true)
  last().say('pong')
  expect(channel.typed.isUnconfirmed).toBe(false)
})

test('a line that is silent is given up', async () => {
  const { link } = await opened()
  await vi.advanceTimersByTimeAsync(26_000)
  expect(link.state.get().state).not.toBe('connected')
})

test('a browser that goes offline notices soon, and comes back as soon as it is online', async () => {
  const { link } = await opened()
  refusal = new Error('no network')
  window.dispatchEvent(new Event('offline'))
  await vi.advanceTimersByTimeAsync(1_600)
  expect(link.state.get().state).toBe('reconnecting')
  await vi.advanceTimersByTimeAsync(5_000)
  refusal = undefined
  const tries = sockets.length
  window.dispatchEvent(new Event('online'))
  await vi.advanceTimersByTimeAsync(1)
  expect(sockets.length).toBe(tries + 1)
})

test('the end of a session is told and nothing comes after it', async () => {
  const { link, channel } = await opened()
  last().say('session_closed', { status: 'closed', reason: 'idle_timeout' })
  expect(link.state.get()).toEqual({ state: 'closed', reason: 'idle_timeout' })
  expect(channel.hasEnded).toBe(true)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sockets).toHaveLength(1)
})

test('a session that has ended meanwhile is not asked for again', async () => {
  const { link } = await opened()
  refusal = new Refused()
  last().breaks()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(link.state.get().state).toBe('closed')
  expect(sockets).toHaveLength(1)
})

test('a viewer that was replaced does not fight for its place', async () => {
  const { link } = await opened()
  last().breaks(4001)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(link.state.get().state).toBe('failed')
  expect(sockets).toHaveLength(1)
})

test('a terminal tells how its program ended', async () => {
  const { channel } = await opened()
  last().frame({ kind: 'eof', stream: 7, offset: 0n })
  last().say('terminal_closed', { channel_id: 'terminal-1', exit_code: 130 })
  expect(channel.state.get().ended).toMatchObject({ kind: 'closed', closed: { exit_code: 130 } })
})

test('a machine that is away suspends what is there', async () => {
  const { link } = await opened()
  last().say('suspended', { grace_seconds: 60 })
  expect(link.state.get()).toEqual({ state: 'suspended', graceSeconds: 60 })
  last().say('resumed')
  expect(link.state.get()).toEqual({ state: 'connected' })
})
