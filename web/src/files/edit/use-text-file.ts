import { useEffect, useState } from 'react'
import { ApiError } from '~/api/problem'
import type { FileInfo, Machine } from '../machine'
import { hashOf } from '../transfers/file-hash'
import { sendUpload } from '../transfers/upload'
import { MOST_BYTES, readText, type TextFile, writeText } from './text-file'

export interface Read {
  file: TextFile
  /** Names this state of the file; another one means that somebody changed it. */
  version: string | null
}

export type Reading =
  | { state: 'reading' }
  | { state: 'read'; read: Read }
  | { state: 'failed'; error: unknown }

/** The file was changed, or is gone, since it was read. */
export class Changed extends Error {
  constructor(readonly gone: boolean) {
    super(gone ? 'the file is gone' : 'the file was changed since you opened it')
  }
}

/** Reads a text file; again when `round` changes. */
export function useTextFile(machine: Machine, path: string, round: number): Reading {
  const [reading, setReading] = useState<Reading>({ state: 'reading' })
  // biome-ignore lint/correctness/useExhaustiveDependencies: another round reads it again
  useEffect(() => {
    let left = false
    setReading({ state: 'reading' })
    read(machine, path).then(
      done => !left && setReading({ state: 'read', read: done }),
      error => !left && setReading({ state: 'failed', error }),
    )
    return () => {
      left = true
    }
  }, [machine, path, round])
  return reading
}

async function read(machine: Machine, path: string): Promise<Read> {
  const response = await machine.request('GET', 'files/content', { path })
  const bytes = new Uint8Array(await response.arrayBuffer())
  const file = bytes.length <= MOST_BYTES ? readText(bytes) : undefined
  if (!file) throw new Error('it is no plain text file of up to 1 MiB; download it instead')
  return { file, version: response.headers.get('etag') }
}

/** Writes the file in place of what was read; asks first whether that is still what is there. */
export async function writeBack(
  machine: Machine,
  path: string,
  { file, version }: Read,
  anyway: boolean,
): Promise<void> {
  if (!anyway && (await versionOf(machine, path)) !== version) throw new Changed(false)
  const mode = await modeOf(machine, path)
  const body = new File([writeText(file)], 'text')
  const signal = new AbortController().signal
  const sha256 = await hashOf(body, signal, () => undefined)
  const upload = { machine, file: body, path, sha256, overwrite: true, mode }
  await sendUpload(upload, signal, () => undefined)
}

async function versionOf(machine: Machine, path: string): Promise<string | null> {
  try {
    const response = await machine.request('HEAD', 'files/content', { path })
    return response.headers.get('etag')
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) throw new Changed(true)
    throw error
  }
}

/** Its permissions, which stay as they are. */
async function modeOf(machine: Machine, path: string): Promise<string | undefined> {
  try {
    const { mode } = await machine.json<FileInfo>('files/stat', { path })
    return typeof mode === 'number' ? (mode & 0o7777).toString(8) : undefined
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined
    throw error
  }
}
