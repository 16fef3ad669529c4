/** Who sees what, what expires, what is hostile, and all of it by keyboard. */

import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { PASSWORD, TestServer } from './server'
import { openBrowser } from './terminal-world'
import { Visitor } from './visitor'

const HOSTILE = '<img src=x onerror="window.pwned=1">\u202eexe.cod\u0007'

let server: TestServer
let browser: Browser
let token: string
let visitor: Visitor
const clients: Record<string, string> = {}
const devices: Record<string, { id: string; key: string }> = {}

async function enrol(siteCode: string, hostname: string, os = 'Debian'): Promise<void> {
  const made = await server.must('POST', '/api/agent/register-legacy', {
    site_code: siteCode,
    device_id: `device-of-${Object.keys(devices).length}`,
    hostname,
    os_info: { family: 'linux', name: os, version: '13', arch: 'x86_64' },
    version: '1.0.0',
  })
  devices[hostname] = { id: made.agent_id, key: made.api_key }
  await server.must('POST', '/api/agent/heartbeat', { api_key: made.api_key })
}

beforeAll(async () => {
  ;[server, browser] = await Promise.all([TestServer.start(), openBrowser()])
  token = await server.setUp()
  for (const name of ['Acme', 'Globex']) {
    const client = await server.must('POST', '/api/clients', { name }, token)
    clients[name] = client.id
    const site = await server.must(
      'POST',
      '/api/sites',
      { client_id: client.id, name: 'HQ' },
      token,
    )
    await enrol(site.site_code, `${name.toLowerCase()}-1`)
    await enrol(site.site_code, `${name.toLowerCase()}-2`)
    if (name === 'Acme') await enrol(site.site_code, HOSTILE, '"><script>window.pwned=2</script>')
  }
  await server.must(
    'POST',
    '/api/users',
    {
      email: 'grace@example.com',
      password: PASSWORD,
      role: 'technician',
      scope: { client_ids: [clients.Acme], site_ids: [] },
    },
    token,
  )
})

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await visitor.shot(`failed-${task.name.replaceAll(' ', '-')}`)
  const errors = visitor.errors.splice(0)
  await visitor.leave()
  expect(errors).toEqual([])
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

test('a technician who may not see a client does not see it', async () => {
  visitor = await Visitor.come(browser, server)
  const { page } = visitor
  await visitor.logIn('grace@example.com')
  await page.getByRole('link', { name: 'acme-1' }).waitFor()
  expect(await page.getByText('globex').count()).toBe(0)
  expect(await page.getByRole('button', { name: 'Add device' }).count()).toBe(0)
  expect(await page.getByRole('link', { name: 'Users' }).count()).toBe(0)
  await visitor.go(`/devices/${devices['globex-1']?.id}`)
  const refusal = page.getByRole('alert')
  await refusal.waitFor()
  expect(await refusal.textContent()).toContain('Ask an administrator')
  expect(await refusal.textContent()).toMatch(/Request [0-9a-f-]{36}/)
  await visitor.shot('out-of-scope')
  await visitor.go('/clients')
  await page.getByRole('link', { name: 'Acme' }).waitFor()
  expect(await page.getByText('Globex').count()).toBe(0)
})

test('a log-in that has expired is asked for again and nothing typed is lost', async () => {
  visitor = await Visitor.come(browser, server)
  const { page } = visitor
  await visitor.logIn()
  await visitor.go('/clients')
  await page.getByRole('button', { name: 'New client' }).click()
  await page.getByRole('dialog').getByLabel('Name').fill('Initech, typed before')
  // Elsewhere the user logs out everywhere.
  const elsewhere = await server.must('POST', '/api/auth/login', {
    email: 'ada@example.com',
    password: PASSWORD,
  })
  await server.call('POST', '/api/auth/logout', undefined, elsewhere.token)
  await page.getByRole('button', { name: 'Create' }).click()
  const again = page.getByRole('dialog', { name: 'Your log-in has expired' })
  await again.waitFor()
  await visitor.shot('expired')
  const password = again.locator('input[type="password"]')
  await password.fill('wrong password')
  await page.keyboard.press('Enter')
  await again.getByRole('alert').waitFor()
  await password.fill(PASSWORD)
  await page.keyboard.press('Enter')
  await again.waitFor({ state: 'hidden' })
  await page.getByRole('link', { name: 'Initech, typed before' }).waitFor()
  await visitor.shot('expired-and-back')
  token = (
    await server.must('POST', '/api/auth/login', { email: 'ada@example.com', password: PASSWORD })
  ).token
})

test('nothing that a machine says runs or pretends', async () => {
  const hostile = devices[HOSTILE]
  if (!hostile) throw new Error('it is not enrolled')
  const given = await server.must(
    'POST',
    `/api/agents/${hostile.id}/command`,
    { command: 'echo' },
    token,
  )
  await server.must('POST', '/api/agent/heartbeat', { api_key: hostile.key })
  await server.must('POST', '/api/agent/command-result', {
    api_key: hostile.key,
    command_id: given.command_id,
    exit_code: 0,
    stdout:
      '\u001b]0;title\u0007\u001b[31m<script>window.pwned=3</script>\u202e\u001b]8;;javascript:alert(1)\u0007link',
    stderr: '',
    duration_ms: 5,
  })
  visitor = await Visitor.come(browser, server)
  const { page } = visitor
  await visitor.logIn()
  await visitor.settle()
  const row = page.getByText('<img src=x onerror')
  expect(await row.textContent()).not.toContain('\u202e')
  await visitor.shot('hostile-devices')
  await visitor.go(`/devices/${hostile.id}`)
  await visitor.shot('hostile-device')
  expect(await page.title()).not.toContain('\u202e')
  await visitor.go(`/commands/${given.command_id}`)
  await page.getByText('window.pwned=3').waitFor()
  const shown = await page.locator('pre').allTextContents()
  for (const mark of ['\u001b', '\u0007', '\u202e']) expect(shown.join('')).not.toContain(mark)
  expect(await page.locator('a[href^="javascript"]').count()).toBe(0)
  await visitor.shot('hostile-output')
  expect(await page.evaluate(() => (window as { pwned?: number }).pwned)).toBeUndefined()
  expect(await page.locator('img[src="x"]').count()).toBe(0)
})

test('by keyboard alone', async () => {
  visitor = await Visitor.come(browser, server)
  const { page } = visitor
  const { keyboard } = page
  await page.goto('/devices')
  await page.getByLabel('E-mail').waitFor()
  // The first field has the keyboard.
  await keyboard.type('ada@example.com')
  await keyboard.press('Tab')
  await keyboard.type(PASSWORD)
  await keyboard.press('Enter')
  await page.getByRole('link', { name: 'acme-1' }).waitFor()

  await keyboard.press('j')
  await keyboard.press('j')
  await keyboard.press('x')
  await page.getByText('1 device selected').waitFor()
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('data-row'))
  const second = await focused()
  await keyboard.press('k')
  await expect.poll(focused).not.toBe(second)
  await keyboard.press('ArrowDown')
  await expect.poll(focused).toBe(second)
  await visitor.shot('keyboard-selected')
  await keyboard.press('x')
  await page.getByText('1 device selected').waitFor({ state: 'hidden' })

  await keyboard.press('/')
  await keyboard.type('globex-2')
  await page.getByText('1 fit').waitFor()
  await keyboard.press('Escape')
  await keyboard.press('Escape')

  await keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keys' }).waitFor()
  await keyboard.press('Escape')
  await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' })

  await keyboard.press('g')
  await keyboard.press('c')
  await page.getByRole('heading', { name: 'Clients & sites' }).waitFor()

  await keyboard.press('Control+k')
  await page.getByPlaceholder('Find a device or page').waitFor()
  await keyboard.type('globex-2')
  await page.getByRole('dialog').getByText('globex-2').waitFor()
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'globex-2' }).waitFor()

  // From the top of a page the first stop leads past the menu.
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
  await keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('To the content')
})
