// Makes src/api/schema.d.ts from src/api/openapi.json; with --check it only says whether it is stale.
import { readFile, writeFile } from 'node:fs/promises'
import openapi, { astToString } from 'openapi-typescript'

const source = new URL('../src/api/openapi.json', import.meta.url)
const target = new URL('../src/api/schema.d.ts', import.meta.url)

const head = '// Made by `npm run schema` from openapi.json. Do not edit.\n\n'
const made = head + astToString(await openapi(source, { defaultNonNullable: false }))

if (process.argv.includes('--check')) {
  const there = await readFile(target, 'utf8').catch(() => '')
  if (there !== made) {
    console.error('schema.d.ts is stale: run `npm run schema` and commit what it writes')
    process.exit(1)
  }
} else {
  await writeFile(target, made)
}
