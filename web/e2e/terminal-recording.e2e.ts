import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { seriousViolations } from './axe'
import { TerminalPage } from './terminal-page'
import { openBrowser, sitDown, startWorld, until, type World } from './terminal-world'

const SHOTS = process.env.GURURMM_WEB_SHOTS ?? join(import.meta.dirname, 'screenshots')

let world: World
let browser: Browser

beforeAll(async () => {
  mkdirSync(SHOTS, { recursive: true })
  ;[world, browser] = await Promise.all([startWorld(), openBrowser()])
})

afterAll(async () => {
  await browser?.close()
  await world?.close()
})

test('a terminal is recorded, played, searched and downloaded', async () => {
  const policy = { name: 'Recorded', settings: { recording: { mode: 'output', keep_days: 7 } } }
  expect((await world.call('POST', '/api/policies', policy, world.token)).status).toBe(201)
  const { page, errors } = await sitDown(browser, world)
  const terminal = new TerminalPage(page)
  await terminal.open()
  await terminal.run('echo needle-in-a-recording; sleep 4; exit')
  await terminal.note(/has ended with exit code 0/).waitFor()
  let id = ''
  await until('the recording is complete', async () => {
    const { json } = await world.call('GET', '/api/recordings', undefined, world.token)
    const [recording] = json.items
    id = recording?.id ?? ''
    return recording?.state === 'complete'
  })
  await terminal.dock.getByRole('button', { name: 'Close', exact: true }).click()
  await page.getByRole('link', { name: 'Sessions', exact: true }).click()
  await page.evaluate(path => {
    history.pushState(null, '', path)
    dispatchEvent(new PopStateEvent('popstate'))
  }, `/recordings/${id}`)
  const player = page.getByTestId('recording')
  await player.locator('.ap-player').waitFor()
  await page.getByLabel('Search in the recording').fill('NEEDLE-in')
  await page.getByRole('button', { name: 'Find', exact: true }).click()
  await page.getByText(/match/).waitFor()
  await page
    .getByRole('button', { name: /needle-in-a-recording/ })
    .last()
    .click()
  await until('the player shows what was found', async () =>
    ((await player.textContent()) ?? '').includes('needle-in-a-recording'),
  )
  await page.screenshot({ path: join(SHOTS, 'recording.png') })
  const downloading = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download .cast' }).click()
  const cast = readFileSync(await (await downloading).path(), 'utf8')
  expect(JSON.parse(cast.split('\n')[0] ?? '').version).toBe(2)
  expect(cast).toContain('needle-in-a-recording')
  expect(await seriousViolations(page)).toEqual([])
  expect(errors).toEqual([])
})
