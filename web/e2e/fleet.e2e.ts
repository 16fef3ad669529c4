/** Three thousand devices in the list, by agents that poll. */

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestServer } from './server'
import { openBrowser } from './terminal-world'
import { Visitor } from './visitor'

const DEVICES = 3000
const AT_ONCE = 40

let server: TestServer
let browser: Browser
let visitor: Visitor
let siteCode: string
const keys = new Map<string, string>()

const hostname = (at: number) => `pc-${String(at).padStart(4, '0')}`

async function enrol(at: number): Promise<void> {
  const made = await server.must('POST', '/api/agent/register-legacy', {
    site_code: siteCode,
    device_id: `device-${at}`,
    hostname: hostname(at),
    os_info: {
      family: at % 3 ? 'windows' : 'linux',
      name: 'Windows 11',
      version: '10',
      arch: 'x86_64',
    },
    version: '1.0.0',
  })
  keys.set(hostname(at), made.api_key)
}

function heartbeat(name: string, cpu_percent: number) {
  return server.must('POST', '/api/agent/heartbeat', {
    api_key: keys.get(name),
    metrics: { cpu_percent },
  })
}

beforeAll(async () => {
  ;[server, browser] = await Promise.all([TestServer.start(), openBrowser()])
  const token = await server.setUp()
  const client = await server.must('POST', '/api/clients', { name: 'Acme' }, token)
  const site = await server.must('POST', '/api/sites', { client_id: client.id, name: 'HQ' }, token)
  siteCode = site.site_code
  // At most 3,000 requests a minute come from one address; the rest are registered by the administrator.
  const limited = 600
  const queue = Array.from({ length: DEVICES }, (_, at) => at)
  const work = async () => {
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
      if (at < limited) await enrol(at)
      else {
        const body = {
          site_id: site.id,
          device_id: `device-${at}`,
          hostname: hostname(at),
          os: {
            family: at % 3 ? 'windows' : 'linux',
            name: 'Windows 11',
            version: '10',
            arch: 'x86_64',
          },
        }
        await server.must('POST', '/api/agents', body, token)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  visitor = await Visitor.come(browser, server)
}, 300_000)

afterAll(async () => {
  await visitor?.leave()
  await browser?.close()
  await server?.close()
})

test('the list is there soon, and holds no more rows than are seen', async () => {
  const began = Date.now()
  await visitor.logIn()
  await visitor.page.getByRole('link', { name: 'pc-0000' }).waitFor()
  const tookMs = Date.now() - began
  console.log(`from the log-in page to rows of ${DEVICES} devices: ${tookMs} ms`)
  expect(await visitor.page.locator('[data-row]').count()).toBeLessThan(60)
  await visitor.page.getByText('3,000 devices').waitFor()
  await visitor.shot('fleet')
})

test('scrolling brings further pages, without gaps', async () => {
  const { page } = visitor
  const grid = page.getByRole('grid', { name: 'Devices' })
  for (const wanted of [300, 900, 2000, 2999]) {
    await expect
      .poll(
        async () => {
          await grid.evaluate((element, index) => {
            element.parentElement?.scrollTo({ top: index * 36 })
          }, wanted)
          await page.waitForTimeout(150)
          return page.getByRole('link', { name: hostname(wanted), exact: true }).count()
        },
        { timeout: 60_000 },
      )
      .toBe(1)
  }
  await visitor.shot('fleet-scrolled')
})

test('a filter asks the server and stands in the address', async () => {
  const { page } = visitor
  await page.keyboard.press('/')
  await page.keyboard.type('pc-012')
  await page.getByText('10 fit').waitFor()
  expect(new URL(page.url()).searchParams.get('q')).toBe('pc-012')
  expect(await page.locator('[data-row]').count()).toBe(10)
  await page.keyboard.press('Escape')
  await page.getByRole('link', { name: 'pc-0000' }).waitFor()
})

test('what changes live keeps selection, scroll and focus', async () => {
  const { page } = visitor
  await page.keyboard.press('Escape')
  const grid = page.getByRole('grid', { name: 'Devices' })
  await grid.evaluate(element => element.parentElement?.scrollTo({ top: 200 * 36 }))
  const row = page.locator('[data-row]', { hasText: hostname(205) })
  await row.waitFor()
  await row.focus()
  await page.keyboard.press('x')
  await page.getByText('1 device selected').waitFor()
  const before = await grid.evaluate(element => element.parentElement?.scrollTop)
  await heartbeat(hostname(205), 77)
  await expect.poll(() => row.textContent(), { timeout: 60_000 }).toContain('77 %')
  expect(await row.getAttribute('aria-selected')).toBe('true')
  expect(await row.evaluate(element => element === document.activeElement)).toBe(true)
  expect(await grid.evaluate(element => element.parentElement?.scrollTop)).toBe(before)
  await visitor.shot('fleet-live')
  expect(visitor.errors).toEqual([])
})
