import { expect, test } from 'vitest'
import { type ServerSent, serverSentReader } from './server-sent'

test('events are read whatever the pieces they come in', () => {
  const text =
    ': hello\n\nevent: service\ndata: {"a":1}\n\nevent: end\r\ndata: one\r\ndata: two: three\r\n\r\ndata: cut'
  for (const size of [1, 2, 7, text.length]) {
    const seen: ServerSent[] = []
    const read = serverSentReader(event => seen.push(event))
    for (let at = 0; at < text.length; at += size) read(text.slice(at, at + size))
    expect(seen).toEqual([
      { event: 'service', data: '{"a":1}' },
      { event: 'end', data: 'one\ntwo: three' },
    ])
  }
})
