// Fails when the scripts that every page needs weigh more than the budget, compressed.
import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'

const BUDGET_BYTES = 250_000

const dist = new URL('../dist/', import.meta.url)
const manifest = JSON.parse(await readFile(new URL('.vite/manifest.json', dist), 'utf8'))

/** What the browser must have before the first page: the entry and all that it imports at once. */
function initial(key, found = new Set()) {
  const chunk = manifest[key]
  if (!chunk || found.has(chunk.file)) return found
  found.add(chunk.file)
  for (const dependency of chunk.imports ?? []) initial(dependency, found)
  return found
}

const entry = Object.keys(manifest).find(key => manifest[key].isEntry)
let total = 0
for (const file of initial(entry)) {
  const size = gzipSync(await readFile(new URL(file, dist)), { level: 9 }).length
  total += size
  console.log(`${String(size).padStart(8)}  ${file}`)
}
console.log(`${String(total).padStart(8)}  of ${BUDGET_BYTES} bytes of initial JavaScript, gzip`)

const lazy = [/xterm/, /asciinema/, /uplot/i]
for (const file of initial(entry)) {
  if (lazy.some(name => name.test(file))) {
    console.error(`${file} must be loaded only where it is used`)
    process.exit(1)
  }
}
if (total > BUDGET_BYTES) {
  console.error('over the budget')
  process.exit(1)
}
