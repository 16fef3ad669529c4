/** What may be done to files, apart from sending them. */

import { confirm } from '~/ui/confirm'
import { failed, told } from '~/ui/toast'
import { nameOf } from '../file-path'
import { type FileInfo, type Machine, urlOf } from '../machine'
import { visible } from '../visible-name'

/** Fetches a file by the browser's own means, which goes on by itself where it broke off; a folder as an archive. */
export async function download(machine: Machine, path: string, isFolder: boolean): Promise<void> {
  // Also opens a session where there is none, and tells what is wrong before a browser saves it as a file.
  await machine.json<FileInfo>('files/stat', { path })
  const url = urlOf(await machine.session(), isFolder ? 'files/archive' : 'files/content', { path })
  const link = document.createElement('a')
  link.href = url
  link.download = isFolder ? `${nameOf(path)}.tar` : nameOf(path)
  link.click()
}

export function askToDelete(
  machine: Machine,
  path: string,
  file: FileInfo,
  done: () => void,
): void {
  const isFolder = file.kind === 'directory'
  confirm({
    title: isFolder ? 'Delete this folder?' : 'Delete this file?',
    text: isFolder
      ? `${visible(file.name)} goes with all that is in it. It cannot be brought back.`
      : `${visible(file.name)} cannot be brought back.`,
    verb: 'Delete',
    danger: true,
    act: async () => {
      await machine.request('DELETE', 'files', { path, recursive: isFolder || undefined })
      done()
      told(`${visible(file.name)} is deleted.`)
    },
  })
}

/** Does something and tells where it did not work. */
export async function attempt(what: string, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    failed(error, what)
  }
}
