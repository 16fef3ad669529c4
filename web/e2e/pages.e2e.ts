/** Every page with something on it, dark and light: no serious violation, no console error, a picture to look at. */

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seriousViolations } from './axe'
import { type Furniture, furnish } from './furnish'
import { TestServer } from './server'
import { openBrowser } from './terminal-world'
import { Visitor } from './visitor'

let server: TestServer
let browser: Browser
let there: Furniture

beforeAll(async () => {
  ;[server, browser] = await Promise.all([TestServer.start(), openBrowser()])
  there = await furnish(server)
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const PAGES: [string, (of: Furniture) => string][] = [
  ['devices', () => '/devices'],
  ['device', of => `/devices/${of.agentId}`],
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
  ['jobs', () => '/jobs'],
  ['job', of => `/jobs/${of.jobId}`],
  ['commands', () => '/commands'],
  ['command', of => `/commands/${of.commandId}`],
  ['scripts', () => '/scripts'],
  ['script', of => `/scripts/${of.scriptId}`],
  ['schedules', () => '/schedules'],
  ['schedule', of => `/schedules/${of.scheduleId}`],
  ['sessions', () => '/sessions'],
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

describe.each(['light', 'dark'] as const)('%s', colorScheme => {
  let visitor: Visitor

  beforeAll(async () => {
    visitor = await Visitor.come(browser, server, { colorScheme })
    await visitor.logIn()
  })

  afterAll(() => visitor?.leave())

  test.each(PAGES)('%s', async (name, path) => {
    await visitor.go(path(there))
    await visitor.shot(`${name}-${colorScheme}`)
    expect(await seriousViolations(visitor.page)).toEqual([])
    expect(visitor.errors.splice(0)).toEqual([])
  })

  test('dialogs', async () => {
    const { page } = visitor
    await visitor.go('/devices')
    await page.keyboard.press('?')
    await page.getByRole('dialog').waitFor()
    await visitor.shot(`help-${colorScheme}`)
    expect(await seriousViolations(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.keyboard.press('Control+k')
    await page.getByRole('textbox', { name: 'Find a device or page' }).fill('a')
    await visitor.settle()
    await visitor.shot(`palette-${colorScheme}`)
    expect(await seriousViolations(page)).toEqual([])
    await page.keyboard.press('Escape')
    expect(visitor.errors.splice(0)).toEqual([])
  })
})

test('on a phone the list can be looked at', async () => {
  const visitor = await Visitor.come(browser, server, { viewport: { width: 390, height: 844 } })
  await visitor.logIn()
  await visitor.settle()
  await visitor.shot('devices-phone')
  await visitor.go(`/devices/${there.agentId}`)
  await visitor.shot('device-phone')
  expect(visitor.errors).toEqual([])
  await visitor.leave()
})
