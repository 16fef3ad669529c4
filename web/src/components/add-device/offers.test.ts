import { expect, test } from 'vitest'
import { askOffers, lackOf, type Offers } from './offers'

const answers = (there: Record<string, string>) => async (path: string) => {
  const text = there[path]
  return text === undefined
    ? { status: 404, text: '{"code":"not_found"}', etag: null }
    : { status: 200, text, etag: '"f1"' }
}

const offering = (...platforms: string[]): Offers => ({
  versions: {
    'linux-x86_64': null,
    'linux-aarch64': null,
    'windows-x86_64': null,
    ...Object.fromEntries(platforms.map(platform => [platform, '0.2.0'])),
  },
  authority: null,
})

test('a server tells what it offers, and 404 is nothing', async () => {
  const offers = await askOffers(answers({ '/api/install/linux-x86_64': '{"version":"0.2.0"}' }))
  expect(offers).toEqual(offering('linux-x86_64'))
})

test('the authority is known by the hash of its file and by its fingerprint', async () => {
  const offers = await askOffers(answers({ '/api/install/ca.pem': 'abc' }))
  expect(offers.authority).toEqual({
    file: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    fingerprint: 'f1',
  })
})

test('where there is no release for a platform, the way out is told', () => {
  expect(lackOf('linux', offering())).toContain('Debian package')
  expect(lackOf('linux', offering('linux-x86_64'))).toContain('linux-aarch64')
  expect(lackOf('linux', offering('linux-aarch64'))).toContain('linux-x86_64')
  expect(lackOf('linux', offering('linux-x86_64', 'linux-aarch64'))).toBeNull()
  expect(lackOf('powershell', offering('linux-x86_64'))).toContain('MSI')
  expect(lackOf('powershell', offering('windows-x86_64'))).toBeNull()
})

test('packages have the program in them and need no release', () => {
  expect(lackOf('debian', offering())).toBeNull()
  expect(lackOf('msi', offering())).toBeNull()
})
