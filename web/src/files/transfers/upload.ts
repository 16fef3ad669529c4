/** One upload, named after its contents, so that it goes on where an earlier try stopped: also one before a reload. */

import { ApiError } from '~/api/problem'
import { type Machine, urlOf } from '../machine'
import { putBody } from './put-body'

/** Characters of the SHA-256 that name an upload. */
const NAME_CHARACTERS = 40

export interface Upload {
  machine: Machine
  file: File
  path: string
  sha256: string
  overwrite: boolean
  /** Permission bits in octal; the machine's usual ones where they are missing. */
  mode?: string | undefined
}

export const uploadName = (sha256: string) => sha256.slice(0, NAME_CHARACTERS)

/** Sends what the machine has not; tells how many bytes of the file it has or gets. */
export async function sendUpload(
  upload: Upload,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const { machine, file, path, sha256, overwrite, mode } = upload
  const offset = Math.min(await sentBefore(upload), file.size)
  signal.throwIfAborted()
  onProgress(offset)
  const answer = await machine.within(sessionId =>
    putBody({
      url: urlOf(sessionId, 'files/content', {
        path,
        upload: uploadName(sha256),
        offset,
        size: file.size,
        sha256,
        overwrite,
        mode,
        modified: new Date(file.lastModified).toISOString(),
      }),
      body: file.slice(offset),
      signal,
      onProgress: bytes => onProgress(Math.min(offset + bytes, file.size)),
    }),
  )
  const written = (answer as { sha256?: string } | undefined)?.sha256
  if (written && written.toLowerCase() !== sha256) {
    throw new Error('it was not written as it is here (its SHA-256 differs); send it again')
  }
}

/** Bytes that an earlier try has left. */
async function sentBefore({ machine, path, sha256 }: Upload): Promise<number> {
  const query = { path, upload: uploadName(sha256) }
  try {
    return (await machine.json<{ offset: number }>('files/upload', query)).offset
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return 0
    throw error
  }
}

/** Has the machine forget what an upload has left. */
export async function dropUpload({ machine, path, sha256 }: Omit<Upload, 'file'>): Promise<void> {
  await machine.request('DELETE', 'files/upload', { path, upload: uploadName(sha256) })
}

/** Whether it may work if it is tried again: the line was lost, not the case. */
export function mayComeBack(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false
  if (['gone', 'agent_offline', 'incomplete_upload', 'bad_offset'].includes(error.code)) return true
  return [0, 408, 429].includes(error.status) || (error.status >= 500 && error.status !== 507)
}
