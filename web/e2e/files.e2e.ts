import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Locator } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { seriousViolations } from './axe'
import {
  type Desk,
  openBrowser,
  sitDown,
  sleep,
  startWorld,
  until,
  type World,
} from './terminal-world'

const SHOTS = process.env.GURURMM_WEB_SHOTS ?? join(import.meta.dirname, 'screenshots')

let world: World
let browser: Browser
let at: Desk
let remote: string

const shot = (name: string) => at.page.screenshot({ path: join(SHOTS, `${name}.png`) })
const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const row = (name: string) => at.page.getByRole('row').filter({ hasText: name })
const files = (): Locator => at.page.getByRole('region', { name: 'Files' })

async function act(name: string, item: string): Promise<void> {
  await row(name)
    .getByRole('button', { name: /^Actions for/ })
    .click()
  await at.page.getByRole('menuitem', { name: item, exact: true }).click()
}

/** Goes to a folder by typing its path. */
async function goTo(path: string): Promise<void> {
  await at.page.getByRole('button', { name: 'Type a path' }).click()
  await at.page.getByLabel('Path of a folder').fill(path)
  await at.page.keyboard.press('Enter')
}

beforeAll(async () => {
  mkdirSync(SHOTS, { recursive: true })
  ;[world, browser] = await Promise.all([startWorld(), openBrowser()])
  remote = join(world.folder, 'machine')
  mkdirSync(join(remote, 'sub'), { recursive: true })
  writeFileSync(join(remote, 'notes.txt'), 'one\r\ntwo\r\n')
  writeFileSync(join(remote, 'run.sh'), '#!/bin/sh\n', { mode: 0o750 })
  writeFileSync(join(remote, 'annexe\u202egpj.exe'), 'x')
  writeFileSync(join(remote, '<img src=x onerror=window.pwned=1>'), 'x')
  writeFileSync(join(remote, 'new\nline\u001b[31m'), 'x')
  at = await sitDown(browser, world)
  await at.page.getByRole('link', { name: 'Files', exact: true }).click()
  await row('etc').first().waitFor()
  await goTo(remote)
  await row('notes.txt').waitFor()
})

afterEach(async context => {
  if (context.task.result?.state === 'fail') await shot('failed-files')
  const errors = at.errors.splice(0)
  expect(errors).toEqual([])
})

afterAll(async () => {
  await browser?.close()
  await world?.close()
})

test('hostile names are shown as they are and run nothing', async () => {
  await row('U+202E').waitFor()
  await row('<img src=x').waitFor()
  expect(await row('U+001B').textContent()).toContain('U+000A')
  expect(await at.page.evaluate(() => (window as { pwned?: number }).pwned)).toBeUndefined()
  await shot('files')
  expect(await seriousViolations(at.page)).toEqual([])
  await act('U+202E', 'Delete')
  await at.page
    .getByRole('dialog')
    .getByText(/⟨U\+202E⟩/)
    .waitFor()
  await at.page.getByRole('button', { name: 'Delete', exact: true }).click()
  await until('it is gone', () => !existsSync(join(remote, 'annexe\u202egpj.exe')))
})

test('a file goes there and back with the same hash', async () => {
  const bytes = randomBytes(5 * 1024 * 1024 + 3)
  await at.page.locator('input[type=file]').setInputFiles({
    name: 'data.bin',
    mimeType: 'application/octet-stream',
    buffer: bytes,
  })
  await at.page.getByText('done and checked').waitFor()
  await row('data.bin').first().waitFor()
  await shot('files-uploaded')
  expect(hash(readFileSync(join(remote, 'data.bin')))).toBe(hash(bytes))
  const downloading = at.page.waitForEvent('download')
  await row('data.bin').last().waitFor()
  await act('data.bin', 'Download')
  const download = await downloading
  expect(download.suggestedFilename()).toBe('data.bin')
  expect(hash(readFileSync(await download.path()))).toBe(hash(bytes))
})

test('an upload is paused, cut off and goes on, and nothing is there before it is whole', async () => {
  // As a slow line: the sockets are throttled by the browser.
  const client = await at.context.newCDPSession(at.page)
  const line = (uploadThroughput: number) =>
    client.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 5,
      downloadThroughput: -1,
      uploadThroughput,
    })
  await line(1024 * 1024)
  const bytes = randomBytes(6 * 1024 * 1024)
  await at.page.locator('input[type=file]').setInputFiles({
    name: 'slow.bin',
    mimeType: 'application/octet-stream',
    buffer: bytes,
  })
  const transfer = at.page.getByRole('region', { name: 'Uploads' }).getByRole('listitem').last()
  await transfer.getByText(/\/s/).waitFor()
  await shot('files-uploading')
  await transfer.getByRole('button', { name: /^Pause/ }).click()
  await transfer.getByText(/paused/).waitFor()
  expect(existsSync(join(remote, 'slow.bin'))).toBe(false)
  await sleep(500)
  await transfer.getByRole('button', { name: /^Resume/ }).click()
  await transfer.getByText(/\/s/).waitFor()
  world.front.cut()
  await transfer.getByText(/Trying again/).waitFor()
  await shot('files-cut-off')
  world.front.mend()
  await line(-1)
  await transfer.getByText('done and checked').waitFor()
  expect(hash(readFileSync(join(remote, 'slow.bin')))).toBe(hash(bytes))
  expect(readdirSync(remote).filter(name => name.includes('slow'))).toEqual(['slow.bin'])
})

test('an existing file is replaced only when that is asked for', async () => {
  const buffer = Buffer.from('newer')
  const sent = { name: 'run.sh', mimeType: 'text/plain', buffer }
  await at.page.locator('input[type=file]').setInputFiles(sent)
  const transfer = at.page.getByRole('region', { name: 'Uploads' }).getByRole('listitem').last()
  await transfer.getByRole('button', { name: 'Replace' }).waitFor()
  expect(readFileSync(join(remote, 'run.sh'), 'utf8')).toBe('#!/bin/sh\n')
  await transfer.getByRole('button', { name: 'Replace' }).click()
  await transfer.getByText('done and checked').waitFor()
  expect(readFileSync(join(remote, 'run.sh'), 'utf8')).toBe('newer')
  await at.page.getByRole('button', { name: 'Clear finished' }).click()
  expect(await at.page.getByRole('region', { name: 'Uploads' }).count()).toBe(0)
})

test('a text file is edited, and what somebody else wrote meanwhile is not lost', async () => {
  const path = join(remote, 'notes.txt')
  await act('notes.txt', 'Edit')
  const text = at.page.getByLabel('Contents')
  expect(await text.inputValue()).toBe('one\ntwo\n')
  await text.fill('one\ntwo\nthree\n')
  await at.page.keyboard.press('Control+s')
  await until('it is saved', () => readFileSync(path, 'utf8') === 'one\r\ntwo\r\nthree\r\n')
  await at.page.getByRole('dialog').waitFor({ state: 'detached' })
  await act('notes.txt', 'Edit')
  await text.fill('mine')
  writeFileSync(path, 'theirs')
  await at.page.getByRole('button', { name: 'Save' }).click()
  await at.page.getByText(/Somebody changed the file/).waitFor()
  await shot('files-conflict')
  expect(await seriousViolations(at.page)).toEqual([])
  expect(readFileSync(path, 'utf8')).toBe('theirs')
  await at.page.getByRole('button', { name: 'Read it again' }).click()
  await until('it is read again', async () => (await text.inputValue()) === 'theirs')
  await at.page.getByRole('button', { name: 'Close' }).last().click()
})

test('folders are made, renamed, fetched as an archive and deleted', async () => {
  await at.page.getByRole('button', { name: 'New folder' }).click()
  await at.page.getByLabel('Name', { exact: true }).fill('made')
  await at.page.getByRole('button', { name: 'Make' }).click()
  await row('made').waitFor()
  expect(statSync(join(remote, 'made')).isDirectory()).toBe(true)
  writeFileSync(join(remote, 'made', 'inside'), 'x')
  await act('made', 'Rename')
  await at.page.getByLabel('Name', { exact: true }).fill('renamed')
  await at.page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click()
  await row('renamed').waitFor()
  const downloading = at.page.waitForEvent('download')
  await act('renamed', 'Download as archive')
  const archive = readFileSync(await (await downloading).path())
  expect(archive.includes('inside')).toBe(true)
  await act('renamed', 'Delete')
  await at.page
    .getByRole('dialog')
    .getByText(/all that is in it/)
    .waitFor()
  await at.page.getByRole('button', { name: 'Delete', exact: true }).click()
  await until('it is gone', () => !existsSync(join(remote, 'renamed')))
  await files().getByRole('button', { name: 'sub', exact: true }).click()
  await at.page.getByText('This folder is empty').waitFor()
  await shot('files-empty')
})
