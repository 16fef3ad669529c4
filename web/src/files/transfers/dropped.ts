/** What was dropped on the page: files, and folders with what is in them. */

export interface Dropped {
  /** Folders in which something lies, outermost first; names from the top down. */
  folders: string[][]
  files: { file: File; folder: string[] }[]
}

/** More than this at once is an archive's business. */
export const MOST_FILES = 2_000

export class TooMany extends Error {
  constructor() {
    super(`more than ${MOST_FILES} files at once; pack them into one archive and send that`)
  }
}

/** Reads what was dropped; to be called in the very event, before the browser forgets. */
export async function readDropped(items: DataTransferItemList): Promise<Dropped> {
  const entries = [...items].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null)
  const dropped: Dropped = { folders: [], files: [] }
  for (const entry of entries) await walk(entry, [], dropped)
  return dropped
}

async function walk(entry: FileSystemEntry, folder: string[], dropped: Dropped): Promise<void> {
  if (entry.isFile) {
    if (dropped.files.length >= MOST_FILES) throw new TooMany()
    dropped.files.push({ file: await fileOf(entry as FileSystemFileEntry), folder })
  } else if (entry.isDirectory) {
    const inside = [...folder, entry.name]
    dropped.folders.push(inside)
    for (const child of await childrenOf(entry as FileSystemDirectoryEntry)) {
      await walk(child, inside, dropped)
    }
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject))
}

async function childrenOf(entry: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = entry.createReader()
  const children: FileSystemEntry[] = []
  for (;;) {
    // It tells some at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    )
    if (some.length === 0) return children
    children.push(...some)
  }
}
