import { hostname } from 'node:os'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { seriousViolations } from './axe'
import { TestServer } from './server'
import { TerminalPage } from './terminal-page'
import { openBrowser } from './terminal-world'
import { Visitor } from './visitor'

let server: TestServer
let browser: Browser
let visitor: Visitor

beforeAll(async () => {
  ;[server, browser] = await Promise.all([TestServer.start(), openBrowser()])
  visitor = await Visitor.come(browser, server)
})

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await visitor.shot('failed-first-run')
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

test('from nothing to the first shell', async () => {
  const { page } = visitor
  const authorizations: string[] = []
  page.on('request', request => {
    const { authorization } = request.headers()
    if (authorization) authorizations.push(authorization)
  })
  await page.goto('/setup')
  await page.getByLabel('One-time token').fill('wrong')
  await page.getByLabel('Your name').fill('Ada Example')
  await page.getByLabel('E-mail').fill('ada@example.com')
  await page.getByLabel('Password', { exact: true }).fill('short')
  await page.getByText('Strength: too short').waitFor()
  await page.getByLabel('Password', { exact: true }).fill('correct horse battery')
  await page.getByText('Strength: strong').waitFor()
  await visitor.shot('setup')
  expect(await seriousViolations(page)).toEqual([])

  // A wrong token says so, and nothing that was typed is lost.
  await page.getByRole('button', { name: 'Create the administrator' }).click()
  await page.getByRole('alert').waitFor()
  await visitor.shot('setup-refused')
  expect(await page.getByLabel('Your name').inputValue()).toBe('Ada Example')
  await page.getByLabel('One-time token').fill(server.setupToken)
  await page.getByRole('button', { name: 'Create the administrator' }).click()

  await page.getByText('No devices yet').waitFor()
  await visitor.isLive()
  await visitor.settle()

  // The log-in is a cookie that no script can read; a reload finds it again.
  const [cookie] = await visitor.context.cookies()
  expect(cookie).toMatchObject({ name: 'grmm_session', httpOnly: true, sameSite: 'Strict' })
  expect(await page.evaluate(() => document.cookie)).toBe('')
  const kept = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }]),
  )
  expect(kept).not.toContain(cookie?.value)
  expect(authorizations).toEqual([])
  await page.reload()
  await page.getByText('No devices yet').waitFor()
  await visitor.isLive()
  await visitor.shot('devices-empty')
  expect(await seriousViolations(page)).toEqual([])

  await page.getByRole('button', { name: 'Add device' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Client').fill('Acme')
  await dialog.getByLabel('Site').fill('Headquarters')
  await visitor.shot('add-device-place')
  await dialog.getByRole('button', { name: 'Next' }).click()
  const line = await dialog.getByLabel('the line to run', { exact: true }).inputValue()
  await visitor.shot('add-device-line')
  expect(await seriousViolations(page)).toEqual([])
  const token = /grmt_[\w-]+/.exec(line)?.[0] ?? ''
  expect(line).toBe(`curl -fsSL ${server.front.url}/install.sh | sudo sh -s -- --token ${token}`)
  const url = `${server.front.url.replace('http', 'ws')}/ws`

  server.startAgent(token, 'first-device', url)
  await dialog.getByText('is online').waitFor()
  expect(await dialog.getByRole('status').textContent()).toContain(hostname())
  await visitor.shot('add-device-online')
  await dialog.getByRole('button', { name: 'Open terminal' }).click()
  const terminal = new TerminalPage(page)
  await terminal.ready()
  await terminal.run('echo $((6 * 7))')
  await terminal.shows('42')
  await visitor.shot('first-shell')
  expect(visitor.errors).toEqual([])
})

test('a server that is set up cannot be set up again', async () => {
  const second = await Visitor.come(browser, server)
  await second.page.goto('/setup')
  await second.page.getByLabel('One-time token').fill(server.setupToken)
  await second.page.getByLabel('Your name').fill('Mallory')
  await second.page.getByLabel('E-mail').fill('mallory@example.com')
  await second.page.getByLabel('Password', { exact: true }).fill('correct horse battery')
  await second.page.getByRole('button', { name: 'Create the administrator' }).click()
  await second.page.getByText('Log in instead.').waitFor()
  await second.leave()
})
