import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

/** Small enough for a terminal beside it to stay quick. */
const PIECE_BYTES = 256 * 1024

/** The SHA-256 of a file, read piece by piece: no more of it is ever in memory. */
export async function hashOf(
  file: Blob,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<string> {
  const hash = sha256.create()
  for (let at = 0; at < file.size; at += PIECE_BYTES) {
    const piece = await file.slice(at, at + PIECE_BYTES).arrayBuffer()
    signal.throwIfAborted()
    hash.update(new Uint8Array(piece))
    onProgress(Math.min(at + PIECE_BYTES, file.size))
  }
  return bytesToHex(hash.digest())
}
