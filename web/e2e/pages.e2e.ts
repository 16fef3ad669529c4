/** Every page with something on it, dark and light: no serious violation, no console error, a picture to look at. */

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { seriousViolations } from './axe'
import { type Furniture, furnish } from './furnish'
import { TestServer } from './server'
import { openBrowser } from './terminal-world'
import { Visitor } from './visitor'

let server: TestServer
let browser: Browser
let there: Furniture
let visitor: Visitor

beforeAll(async () => {
  ;[server, browser] = await Promise.all([TestServer.start(), openBrowser()])
  there = await furnish(server)
  visitor = await Visitor.come(browser, server, { reducedMotion: 'reduce' })
  await visitor.logIn()
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const PAGES: [string, (of: Furniture) => string][] = [
  ['devices', () => '/devices'],
  ['device-commands', of => `/devices/${of.agentId}/commands`],
  ['device-files', of => `/devices/${of.agentId}/files`],
  ['device-services', of => `/devices/${of.agentId}/services`],
  ['device-processes', of => `/devices/${of.agentId}/processes`],
  ['device-registry', of => `/devices/${of.agentId}/registry`],
  ['device-inventory', of => `/devices/${of.agentId}/inventory`],
  ['device-software', of => `/devices/${of.agentId}/inventory?section=software`],
  ['device-alerts', of => `/devices/${of.agentId}/alerts`],
  ['device-policy', of => `/devices/${of.agentId}/policy`],
  ['device-activity', of => `/devices/${of.agentId}/activity`],
  ['clients', () => '/clients'],
  ['client', of => `/clients/${of.clientId}`],
  ['alerts', () => '/alerts'],
  ['maintenance', () => '/maintenance'],
  ['software', () => '/software'],
  ['inventory', () => '/inventory?q=a'],
  ['jobs', () => '/jobs'],
  ['job', of => `/jobs/${of.jobId}`],
  ['commands', () => '/commands'],
  ['command', of => `/commands/${of.commandId}`],
  ['scripts', () => '/scripts'],
  ['script', of => `/scripts/${of.scriptId}`],
  ['schedules', () => '/schedules'],
  ['schedule', of => `/schedules/${of.scheduleId}`],
  ['sessions', () => '/sessions'],
  ['sessions-past', () => '/sessions?show=all'],
  ['recordings', () => '/recordings'],
  ['policies', () => '/policies'],
  ['policy', of => `/policies/${of.policyId}`],
  ['enrolment', () => '/enrolment'],
  ['users', () => '/users'],
  ['keys', () => '/keys'],
  ['notifications', () => '/notifications'],
  ['audit', () => '/audit'],
  ['settings', () => '/settings'],
  ['missing', () => '/no-such-page'],
]

const SCHEMES = ['light', 'dark'] as const

/** Pictures and axe of what is shown, in both schemes. */
async function look(name: string): Promise<void> {
  const found: string[] = []
  for (const colorScheme of SCHEMES) {
    await visitor.page.emulateMedia({ colorScheme })
    await visitor.page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor()
    await visitor.still()
    await visitor.shot(`${name}-${colorScheme}`)
    for (const violation of await seriousViolations(visitor.page)) {
      found.push(`${colorScheme}: ${violation}`)
    }
  }
  expect(found).toEqual([])
  expect(visitor.errors.splice(0)).toEqual([])
}

test.each(PAGES)('%s', async (name, path) => {
  await visitor.go(path(there))
  await look(name)
})

test('the device again, with some history', async () => {
  await visitor.go(`/devices/${there.agentId}`)
  await look('device')
})

test('services change on the page as they do on the machine', async () => {
  const { page } = visitor
  await visitor.go(`/devices/${there.agentId}/services`)
  await page.getByText('changes show as they happen').waitFor()
  const row = (name: string) => page.locator('[data-row]', { hasText: name })
  await row('nginx').getByText('running').waitFor()
  there.services.are({ cron: 'running', nginx: 'failed', postgresql: 'running' })
  await row('nginx').getByText('failed').waitFor()
  await row('postgresql').waitFor()
  await row('ssh').waitFor({ state: 'detached' })
  await look('device-services')
})

test('dialogs', async () => {
  const { page } = visitor
  await visitor.go('/devices')
  await page.keyboard.press('?')
  await page.getByRole('dialog').waitFor()
  await look('help')
  await page.keyboard.press('Escape')
  await page.keyboard.press('Control+k')
  await page.getByRole('textbox', { name: 'Find a device or page' }).fill('a')
  await visitor.settle()
  await look('palette')
  await page.keyboard.press('Escape')
})

test('on a phone the list can be looked at', async () => {
  const small = await Visitor.come(browser, server, { viewport: { width: 390, height: 844 } })
  await small.logIn()
  await small.settle()
  await small.shot('devices-phone')
  await small.go(`/devices/${there.agentId}`)
  await small.shot('device-phone')
  expect(small.errors).toEqual([])
  await small.leave()
})
