/** Releases from the command line, a rollout from its beginning to its stop, and updates of single devices. */

import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { seriousViolations } from './axe'
import { TestServer } from './server'
import { openBrowser, until } from './terminal-world'
import { Visitor } from './visitor'

const BINARIES = process.env.GURURMM_BIN ?? join(import.meta.dirname, '../../target/debug')
const TEST_KEY = join(import.meta.dirname, '../../shared/release/keys/test.key')

let server: TestServer
let browser: Browser
let visitor: Visitor
let token: string
let awayId: string

beforeAll(async () => {
  ;[server, browser] = await Promise.all([TestServer.start(), openBrowser()])
  token = await server.setUp()
  const client = await server.must('POST', '/api/clients', { name: 'Acme' }, token)
  const make = (name: string) =>
    server.must('POST', '/api/sites', { client_id: client.id, name }, token)
  const site = await make('Headquarters')
  await make('Branch')
  // One that checks signatures and is away, so that it waits in its wave, and one that cannot check them.
  const agent = server.startAgent(site.api_key, 'away')
  const found = async (status: string) => {
    const { items } = await server.must('GET', `/api/agents?status=${status}`, undefined, token)
    awayId = items[0]?.id ?? awayId
    return items.length === 1
  }
  await until('the agent is there', () => found('online'))
  agent.kill('SIGTERM')
  await until('the agent is away', () => found('offline'))
  await server.must('POST', '/api/agent/register-legacy', {
    site_code: site.site_code,
    device_id: 'polls',
    hostname: 'print-server',
    os_info: { family: 'linux', name: 'Debian', version: '13', arch: 'x86_64' },
    version: '0.0.9',
  })
  copyFileSync(TEST_KEY, join(server.folder, 'release.key'))
  chmodSync(join(server.folder, 'release.key'), 0o600)
  visitor = await Visitor.come(browser, server, { reducedMotion: 'reduce' })
  await visitor.logIn('ada@example.com', '/updates')
})

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await visitor?.shot('failed-updates')
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

/** Runs a line as it stands on the page, in the folder of the key and of a program for Linux on x86-64. */
function run(line: string): void {
  const program = Buffer.alloc(128)
  program.write('\x7fELF', 'latin1')
  program[18] = 62
  writeFileSync(join(server.folder, 'gururmm-agent'), program)
  execFileSync('sh', ['-c', line], {
    cwd: server.folder,
    env: {
      PATH: `${BINARIES}:${process.env.PATH}`,
      GURURMM_DATA_DIR: join(server.folder, 'data'),
    },
  })
}

/** Pictures and axe of what is shown, in both schemes. */
async function look(name: string): Promise<void> {
  const found: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
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

test('a release is added by the lines that the page says', async () => {
  const { page } = visitor
  await page.getByText('No releases yet.').waitFor()
  await page.getByRole('button', { name: 'New rollout' }).click()
  await page.getByText('There is no release that has not expired.').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })

  await page.getByRole('button', { name: 'Add a release…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Add a release' })
  await dialog.getByLabel('Version').fill('0.2; id')
  await dialog.getByText('three numbers with dots, as 0.2.0').waitFor()
  expect(await dialog.getByLabel('the line that adds', { exact: true }).count()).toBe(0)
  await dialog.getByLabel('Version').fill('0.2.0')
  await dialog.getByRole('combobox', { name: 'Channel' }).click()
  await page.getByRole('option', { name: 'stable' }).click()
  await look('release-add')
  run(await dialog.getByLabel('the line that signs', { exact: true }).inputValue())
  run(await dialog.getByLabel('the line that adds', { exact: true }).inputValue())
  await dialog.getByRole('button', { name: 'Close' }).last().click()
  const row = page.getByRole('table', { name: 'Releases' }).getByRole('row', { name: '0.2.0' })
  await row.waitFor()
  for (const text of ['linux-x86_64', 'stable', '128 B']) {
    expect(await row.textContent()).toContain(text)
  }
})

test('a rollout is checked as one types, begun, paused and stopped', async () => {
  const { page } = visitor
  await page.getByRole('button', { name: 'New rollout' }).click()
  const dialog = page.getByRole('dialog', { name: 'New rollout' })
  const begin = dialog.getByRole('button', { name: 'Begin' })
  await dialog.getByLabel('Waves').fill('50, 10, 100')
  await dialog.getByText('10 is not larger than the one before').waitFor()
  expect(await begin.isDisabled()).toBe(true)
  await dialog.getByLabel('Waves').fill('50')
  await dialog.getByText('the last has to be 100').waitFor()
  await dialog.getByLabel('Waves').fill('50, 100')
  await dialog.getByText('First 50 % of the devices, then 100 %').waitFor()
  await look('rollout-new')
  await begin.click()

  await page.getByRole('heading', { name: 'Rollout of 0.2.0' }).waitFor()
  const state = page.locator('main').getByText('running', { exact: true })
  await state.waitFor()
  await page.getByText('1 device cannot check signatures').waitFor()
  await page.getByRole('table', { name: 'Waves' }).getByText('1 pending').waitFor()
  await look('rollout')
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('button', { name: 'Resume' }).waitFor()
  await page.locator('main').getByText('paused', { exact: true }).first().waitFor()

  // A release that a rollout brings stays, and the answer says what is in the way.
  await visitor.go('/updates')
  await page.getByRole('button', { name: 'Delete 0.2.0 linux-x86_64 (stable)…' }).click()
  const question = page.getByRole('dialog', { name: 'Delete 0.2.0' })
  await question.getByRole('button', { name: 'Delete', exact: true }).click()
  await question.getByText('A rollout brings this release; stop that first.').waitFor()
  await question.getByRole('button', { name: 'Cancel' }).click()
  // A second one in the channel is said to be in the way before it is asked for.
  await page.getByRole('button', { name: 'New rollout' }).click()
  await dialog.getByText('version 0.2.0 is paused there; stop that first').waitFor()
  expect(await begin.isDisabled()).toBe(true)
  await dialog.getByRole('button', { name: 'Cancel' }).click()

  await page.getByRole('table', { name: 'Rollouts' }).getByRole('link', { name: '0.2.0' }).click()
  await page.getByRole('button', { name: 'Resume' }).click()
  await page.getByRole('button', { name: 'Pause' }).waitFor()
  await page.getByRole('button', { name: 'Stop…' }).click()
  await page
    .getByRole('dialog', { name: 'Stop the rollout of 0.2.0?' })
    .getByRole('button', { name: 'Stop the rollout' })
    .click()
  await page.getByText('stopped by ada@example.com').waitFor()
  expect(await page.getByRole('button', { name: 'Resume' }).count()).toBe(0)
})

test('a rollout that stops by itself says why, as it happens', async () => {
  const { page } = visitor
  const expires = new Date(Date.now() + 8000).toISOString()
  run(
    `gururmm-server release sign --key release.key --version 0.3.0 --platform linux-x86_64 --expires ${expires} gururmm-agent`,
  )
  run('gururmm-server release add gururmm-agent --channel beta')
  const body = { version: '0.3.0', channel: 'beta', waves: [100] }
  const policy = { name: 'Early', settings: { update: { channel: 'beta' } } }
  await server.must('POST', '/api/policies', policy, token)
  const made = await server.must('POST', '/api/rollouts', body, token)
  await visitor.go(`/updates/${made.id}`)
  await page.getByRole('heading', { name: 'Rollout of 0.3.0' }).waitFor()
  await until('the release has expired', async () => {
    const { items } = await server.must('GET', '/api/releases?channel=beta', undefined, token)
    return items[0]?.expired === true
  })
  // Going on after a pause is an occasion to look at it.
  await server.must('POST', `/api/rollouts/${made.id}/pause`, {}, token)
  await server.must('POST', `/api/rollouts/${made.id}/resume`, {}, token)
  const why = page.getByRole('alert')
  await why.getByText('It stopped by itself').waitFor()
  await why.getByText('it has expired; sign and add it anew').waitFor()
  await look('rollout-failed')
  await visitor.go('/updates')
  await page.getByText('stopped by itself').waitFor()
  await look('updates')
})

test('one device is updated from its page, and its updates are listed', async () => {
  const { page } = visitor
  await visitor.go(`/devices/${awayId}`)
  await page.getByRole('button', { name: 'Update now…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Update 1 device' })
  await dialog.getByRole('combobox', { name: 'To version' }).click()
  await page.getByRole('option', { name: '0.2.0' }).click()
  await dialog.getByRole('button', { name: 'Update', exact: true }).click()
  await dialog.waitFor({ state: 'detached' })
  const row = page
    .getByRole('table', { name: 'Updates of the agent' })
    .getByRole('row', { name: '0.2.0' })
  await row.getByText('waiting').waitFor()
  expect(await page.getByRole('button', { name: 'Update now…' }).isDisabled()).toBe(true)
  await look('device-updates')
})

test('many devices are updated and moved, and those that cannot be are named', async () => {
  const { page } = visitor
  await visitor.go('/devices')
  await page.getByLabel('Select all that are listed').check()
  await page.getByRole('button', { name: 'Update…' }).click()
  const update = page.getByRole('dialog', { name: 'Update 2 devices' })
  await update.getByRole('combobox', { name: 'To version' }).click()
  await page.getByRole('option', { name: '0.2.0' }).click()
  await update.getByRole('button', { name: 'Update', exact: true }).click()
  const failures = update.getByRole('table', { name: 'Could not be asked to update' })
  await failures
    .getByRole('row', { name: 'print-server' })
    .getByText('This agent cannot check signatures')
    .waitFor()
  expect(await failures.getByRole('row').count()).toBe(2)
  await look('devices-update-failed')
  await update.getByRole('button', { name: 'Close' }).last().click()

  await page.getByRole('button', { name: 'Move to site…' }).click()
  const move = page.getByRole('dialog', { name: 'Move 2 devices' })
  await move.getByRole('combobox', { name: 'Client' }).click()
  await page.getByRole('option', { name: 'Acme' }).click()
  await move.getByRole('combobox', { name: 'Site' }).click()
  await page.getByRole('option', { name: 'Branch' }).click()
  await move.getByRole('button', { name: 'Move', exact: true }).click()
  await move.waitFor({ state: 'detached' })
  await page.getByText('2 devices moved').waitFor()
  await expect
    .poll(() => page.locator('[data-row]', { hasText: 'Branch' }).count(), { timeout: 60_000 })
    .toBe(2)
})

test('the lines for a new device say what the server lacks', async () => {
  const { page } = visitor
  await page.getByRole('button', { name: 'Add device' }).click()
  const dialog = page.getByRole('dialog', { name: 'Add device' })
  await dialog.getByLabel('Site').fill('Headquarters')
  await dialog.getByRole('button', { name: 'Next' }).click()
  await dialog.getByText('no release for linux-aarch64').waitFor()
  const line = dialog.getByLabel('the line to run', { exact: true })
  expect(await line.inputValue()).toContain(`${server.front.url}/install.sh | sudo sh`)
  await look('add-device-linux')
  await dialog.getByText('Windows (PowerShell)').click()
  await dialog.getByText('no release for windows-x86_64').waitFor()
  expect(await line.inputValue()).toContain('install.ps1')
  await dialog.getByText('Windows (MSI)').click()
  await expect.poll(() => line.inputValue()).toContain('msiexec /i gururmm-agent-VERSION.msi')
  await look('add-device-msi')
})
