import { fetchCast } from './use-player'

/** Saves a recording. By the page, so that it works whatever proves who asks. */
export async function downloadCast(recordingId: string): Promise<void> {
  const cast = await fetchCast(recordingId)
  const url = URL.createObjectURL(new Blob([cast], { type: 'application/x-asciicast' }))
  const link = document.createElement('a')
  link.href = url
  link.download = `${recordingId}.cast`
  link.click()
  URL.revokeObjectURL(url)
}
