import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { hashOf } from './file-hash'

const P = 256 * 1024

test.each([0, 1, P - 1, P, P + 1, 3 * P + 7])('the hash of %i bytes', async size => {
  const bytes = Uint8Array.from({ length: size }, (_, at) => at % 251)
  const seen: number[] = []
  const hash = await hashOf(new Blob([bytes]), new AbortController().signal, at => seen.push(at))
  expect(hash).toBe(createHash('sha256').update(bytes).digest('hex'))
  expect(seen.at(-1) ?? 0).toBe(size)
})

test('one that is stopped does not go on', async () => {
  const stop = new AbortController()
  const hashing = hashOf(new Blob([new Uint8Array(3 * P)]), stop.signal, () => stop.abort())
  await expect(hashing).rejects.toThrow()
})
