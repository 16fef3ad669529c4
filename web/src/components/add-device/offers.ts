import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Way } from './install-line'

const PLATFORMS = ['linux-x86_64', 'linux-aarch64', 'windows-x86_64'] as const
export type Platform = (typeof PLATFORMS)[number]

/** What this server gives to new machines. */
export interface Offers {
  /** The version for each platform; null where there is no release. */
  versions: Record<Platform, string | null>
  /** Of a server whose certificate is of its own authority. */
  authority: { file: string; fingerprint: string | null } | null
}

/** An answer of the open routes, as far as it is looked at. */
interface Answered {
  status: number
  text: string
  etag: string | null
}

/** Asks for the newest release of each platform and for the authority; 404 says that there is none. */
export async function askOffers(ask: (path: string) => Promise<Answered>): Promise<Offers> {
  const manifests = await Promise.all(PLATFORMS.map(platform => ask(`/api/install/${platform}`)))
  const versions = Object.fromEntries(
    PLATFORMS.map((platform, at) => [platform, versionIn(manifests[at])]),
  ) as Offers['versions']
  const ca = await ask('/api/install/ca.pem')
  return {
    versions,
    authority:
      ca.status === 200
        ? {
            file: bytesToHex(sha256(utf8ToBytes(ca.text))),
            fingerprint: ca.etag?.replaceAll('"', '') ?? null,
          }
        : null,
  }
}

function versionIn(answer: Answered | undefined): string | null {
  if (answer?.status !== 200) return null
  const manifest: unknown = JSON.parse(answer.text)
  const version = (manifest as { version?: unknown } | null)?.version
  return typeof version === 'string' ? version : null
}

/** What a way would look for in vain, and what to do instead; null where it finds what it needs. */
export function lackOf(way: Way, { versions }: Offers): string | null {
  const [x86, arm, windows] = PLATFORMS.map(platform => versions[platform])
  if (way === 'powershell' && !windows)
    return 'This server offers no release for windows-x86_64, so the script would find nothing to install. Add one, or install by the MSI, which has the program in it.'
  if (way !== 'linux' || (x86 && arm)) return null
  if (!x86 && !arm)
    return 'This server offers no release for Linux, so the script would find nothing to install. Add one, or install the Debian package, which has the program in it.'
  const lacking = x86 ? 'linux-aarch64' : 'linux-x86_64'
  return `This server offers no release for ${lacking}, so the line fails on such machines. Add one for them.`
}
