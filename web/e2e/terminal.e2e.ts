import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { seriousViolations } from './axe'
import { TerminalPage } from './terminal-page'
import {
  type Desk,
  logIn,
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
let desks: Desk[] = []

async function desk(email?: string): Promise<{ terminal: TerminalPage; desk: Desk }> {
  const sat = await sitDown(browser, world, email)
  desks.push(sat)
  return { terminal: new TerminalPage(sat.page), desk: sat }
}

const shot = (name: string, { page }: Desk) => page.screenshot({ path: join(SHOTS, `${name}.png`) })

beforeAll(async () => {
  mkdirSync(SHOTS, { recursive: true })
  ;[world, browser] = await Promise.all([startWorld(), openBrowser()])
})

afterEach(async context => {
  if (context.task.result?.state === 'fail') {
    for (const [at, one] of desks.entries()) await shot(`failed-terminal-${at}`, one)
  }
  const errors = desks.flatMap(one => one.errors)
  for (const { context: browserContext } of desks) await browserContext.close()
  desks = []
  await world.endSessions()
  expect(errors).toEqual([])
})

afterAll(async () => {
  await browser?.close()
  await world?.close()
})

test('a terminal is typed into and read back', async () => {
  const { terminal, desk: at } = await desk()
  await terminal.open()
  await terminal.run('echo $((6 * 7)) Grüße 机器')
  await terminal.shows('42 Grüße 机器')
  await shot('terminal', at)
  await terminal.run('tput cols; exit 3')
  await terminal.note('The shell has ended with exit code 3.').waitFor()
  await shot('terminal-ended', at)
  await terminal.dock.getByRole('button', { name: 'New shell' }).click()
  await terminal.ready()
})

test('a line that is cut for five seconds comes back to the same shell, nothing lost or doubled', async () => {
  const { terminal, desk: at } = await desk()
  await terminal.open()
  const out = join(world.folder, 'typed')
  await terminal.run('for i in $(seq -w 1 40); do echo line-$i; sleep 0.15; done; mark=kept')
  await terminal.shows('line-05')
  await at.context.setOffline(true)
  world.front.cut()
  await terminal.note(/Reconnecting… nothing lost/).waitFor()
  await shot('terminal-reconnecting', at)
  await sleep(4000)
  // Typed while there is no line.
  await at.page.keyboard.type(`echo $mark > ${out}`)
  await at.page.keyboard.press('Enter')
  await sleep(1000)
  world.front.mend()
  await at.context.setOffline(false)
  await terminal.shows('line-40')
  const text = await terminal.shows(/line-40/)
  const lines = text.match(/line-\d\d/g) ?? []
  expect(new Set(lines).size).toBe(lines.length)
  await until('what was typed arrives', () => {
    try {
      return readFileSync(out, 'utf8') === 'kept\n'
    } catch {
      return false
    }
  })
  await until(
    'nothing more is said about the line',
    async () => (await terminal.note(/Reconnecting/).count()) === 0,
  )
})

test('a reload goes back to the same shell', async () => {
  const { terminal, desk: at } = await desk()
  await terminal.open()
  await terminal.run('mark=of-before')
  await at.page.reload()
  await logIn(at.page)
  await terminal.dock.locator('.xterm-rows').first().waitFor()
  await terminal.dock.locator('.xterm').click()
  await terminal.run('echo $mark')
  await terminal.shows('of-before\n')
})

test('two people in one session see the same, and who is there', async () => {
  const first = await desk('tech@example.com')
  await first.terminal.open()
  const second = await desk()
  await second.desk.page.getByRole('link', { name: 'Sessions', exact: true }).click()
  const row = second.desk.page.getByRole('row').filter({ hasText: 'tech@example.com' })
  await row.getByRole('button', { name: 'Watch' }).click()
  await second.terminal.shows('ready')
  await first.terminal.note(/Also here: Ada \(watching\)/).waitFor()
  await second.terminal.note(/You are watching/).waitFor()
  await second.terminal.dock.locator('.xterm').click()
  await second.terminal.run('echo intruder')
  await first.terminal.run('echo ow""ner')
  await second.terminal.shows('owner')
  await shot('terminal-two', first.desk)
  await shot('terminal-watching', second.desk)
  expect(await first.terminal.text()).not.toContain('intruder')
})

test('the person at the machine is asked, and what they said is shown', async () => {
  const settings = { tunnel: { consent: 'required', consent_timeout_seconds: 60 } }
  const policy = { name: 'Asked', agent_id: world.agentId, settings }
  const made = await world.call('POST', '/api/policies', policy, world.token)
  expect(made.status).toBe(201)
  try {
    const { terminal, desk: at } = await desk()
    const open = at.page.getByRole('button', { name: /Terminal/ }).first()
    world.answerConsent(1)
    await open.click()
    await terminal.note(/Talk to them, then ask again/).waitFor()
    await shot('terminal-consent-refused', at)
    world.answerConsent(0)
    await terminal.dock.getByRole('button', { name: 'Try again' }).click()
    await terminal.note('The person at the machine was asked and has agreed.').waitFor()
    await terminal.ready()
    await shot('terminal-consent', at)
  } finally {
    await world.call('DELETE', `/api/policies/${made.json.id}`, undefined, world.token)
  }
})

test('the same technician at two windows: both type, one holds the size', async () => {
  const first = await desk()
  await first.terminal.open()
  const second = await desk()
  await second.desk.page.setViewportSize({ width: 900, height: 600 })
  await second.terminal.open()
  await second.terminal.dock.getByRole('button', { name: 'New terminal on this device' }).click()
  await second.desk.page.getByRole('menuitem', { name: /^terminal-/ }).click()
  await second.terminal.note(/Ada holds the size/).waitFor()
  await second.terminal.dock.locator('.xterm').click()
  await second.terminal.run('echo from-the-sec""ond')
  await first.terminal.shows('from-the-second')
  await shot('terminal-held', second.desk)
  await second.terminal.dock.getByRole('button', { name: 'Take the size' }).click()
  await first.terminal.note(/Ada holds the size/).waitFor()
  await second.terminal.dock.locator('.xterm').click()
  await second.terminal.run('clear; tput cols')
  const cols = (text: string) => Number(/^(\d+)$/m.exec(text)?.[1])
  const seen = await second.terminal.shows(/^\d+$/m)
  expect(cols(seen)).toBeLessThan(110)
  await first.terminal.shows(new RegExp(`^${cols(seen)}$`, 'm'))
})

test('a flood is stopped by Ctrl-C, and the page stays quick', async () => {
  const { terminal, desk: at } = await desk()
  await at.page.evaluate(() => localStorage.setItem('gururmm.terminal', '{"gpu":true}'))
  await at.page.reload()
  await logIn(at.page)
  await at.page
    .getByRole('button', { name: /Terminal/ })
    .first()
    .click()
  await terminal.dock.locator('.xterm-screen').waitFor()
  await at.page.evaluate(() => localStorage.setItem('gururmm.terminal', '{"gpu":false}'))
  const out = join(world.folder, 'after-flood')
  await terminal.run('unset HISTFILE; yes "a flood of text that never ends"')
  await sleep(4000)
  const begun = Date.now()
  await at.page.keyboard.press('Control+c')
  await terminal.run(`date > ${out}`)
  await until('the shell is back', () => existsSync(out))
  console.log(`from Ctrl-C in a flood to the next command: ${Date.now() - begun} ms`)
  await shot('terminal-flood', at)
})

test('hostile output runs nothing, reaches no clipboard, and changes nothing but its own tab', async () => {
  const { terminal, desk: at } = await desk()
  await terminal.open()
  const before = await at.page.title()
  await at.page.evaluate(() => navigator.clipboard.writeText('mine'))
  const hostile = [
    '\u001b]0;<img src=x onerror=window.pwned=1>\u202egnp.exe\u0007',
    '\u001b]52;c;cHduZWQ=\u0007',
    '\u001b]8;;javascript:window.pwned=1\u0007click-me\u001b]8;;\u0007',
    '\u001b[21t\u001b[8;5;5t\u001b]9;note\u0007',
    '\r\n<script>window.pwned=1</script><img src=x onerror=window.pwned=1>\r\nsur',
    'vived\r\n',
  ].join('')
  const file = join(world.folder, 'hostile')
  writeFileSync(file, hostile)
  await terminal.run(`cat ${file}`)
  await terminal.shows('survived')
  await terminal.dock.getByText('click-me').click({ force: true })
  await sleep(500)
  await shot('terminal-hostile', at)
  expect(await at.page.evaluate(() => (window as { pwned?: number }).pwned)).toBeUndefined()
  expect(await at.page.evaluate(() => navigator.clipboard.readText())).toBe('mine')
  expect(await at.page.title()).toBe(before)
  expect(at.context.pages()).toHaveLength(1)
  expect(await at.page.getByRole('dialog').count()).toBe(0)
  const tab = terminal.dock.getByRole('tab')
  expect(await tab.textContent()).toContain('\ufffd')
  // A link to a page is asked about, with its whole address.
  await terminal.run('echo https://example.org/page')
  const link = terminal.dock.getByText('https://example.org/page').last()
  const question = at.page.getByRole('dialog').getByText('https://example.org/page')
  await until('the link asks', async () => {
    // What is under the mouse becomes a link a moment later.
    await link.hover({ force: true })
    await link.click({ force: true })
    return await question
      .waitFor({ timeout: 1000 })
      .then(() => true)
      .catch(() => false)
  })
  await at.page.getByRole('button', { name: 'Cancel' }).click()
  await terminal.dock.locator('.xterm').click()
  // Nothing was answered that the shell could take for something typed.
  await terminal.run('')
  expect(await terminal.text()).not.toMatch(/\d+;\d+t|rgb:/)
})

test('several lines are asked about before they are pasted', async () => {
  const { terminal, desk: at } = await desk()
  await terminal.open()
  await at.page.evaluate(() => navigator.clipboard.writeText('echo one\necho two\n'))
  await at.page.keyboard.press('Control+Shift+V')
  await at.page.getByRole('dialog').getByText('Paste 2 lines?').waitFor()
  await shot('terminal-paste', at)
  await at.page.getByRole('button', { name: 'Paste', exact: true }).click()
  await terminal.shows('two\n')
  await at.page.evaluate(() => navigator.clipboard.writeText('echo single'))
  await at.page.keyboard.press('Control+Shift+V')
  await at.page.keyboard.press('Enter')
  await terminal.shows('single\n')
})

test('by keyboard alone one gets out of a terminal, and back', async () => {
  const { terminal, desk: at } = await desk()
  await terminal.open()
  await at.page.keyboard.press('Tab')
  const inside = () =>
    at.page.evaluate(() => document.activeElement?.classList.contains('xterm-helper-textarea'))
  expect(await inside()).toBe(true)
  await at.page.keyboard.press('Control+Shift+Escape')
  expect(await inside()).toBe(false)
  expect(await at.page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('tab')
  await terminal.dock
    .getByRole('status')
    .getByText(/Left the terminal/)
    .waitFor()
  await at.page.keyboard.press('Enter')
  await until('the terminal has the focus', async () => (await inside()) === true)
  await at.page.keyboard.press('Control+F6')
  expect(await inside()).toBe(false)
})

test('tabs, splits and search', async () => {
  const { terminal, desk: at } = await desk()
  await terminal.open()
  await terminal.run('seq 1 200; echo nee""dle')
  await terminal.shows('needle')
  await at.page.keyboard.press('Control+Shift+F')
  await at.page.keyboard.type('needle')
  await terminal.dock.getByRole('search').getByText(/of/).waitFor()
  await shot('terminal-search', at)
  await at.page.keyboard.press('Escape')
  await terminal.dock.getByRole('button', { name: 'Split' }).click()
  await until('there are two', async () => (await terminal.dock.locator('.xterm').count()) === 2)
  await until('the new one has the keyboard', () =>
    at.page.evaluate(() => {
      const last = [...document.querySelectorAll('.xterm')].at(-1)
      return last?.contains(document.activeElement) ?? false
    }),
  )
  await terminal.run('echo sec""ond')
  await terminal.shows('second')
  await at.page.getByRole('link', { name: 'Commands', exact: true }).click()
  await terminal.shows('second')
  await shot('terminal-split', at)
})

test('axe finds nothing serious in the dock, dark and light, and the preferences hold', async () => {
  const { terminal, desk: at } = await desk()
  await terminal.open()
  await terminal.run('head -4 /etc/os-release; ls --color -x /usr /etc/ssl; df -h /')
  await terminal.shows('Mounted on')
  await at.page.mouse.move(400, 300)
  const found: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
    await at.page.emulateMedia({ colorScheme })
    await at.page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor()
    await sleep(300)
    await shot(`terminal-${colorScheme}`, at)
    found.push(...(await seriousViolations(at.page)))
  }
  await terminal.dock.getByRole('button', { name: 'Terminal preferences' }).click()
  await at.page.getByLabel('Font size').fill('18')
  await shot('terminal-preferences', at)
  found.push(...(await seriousViolations(at.page)))
  await at.page.keyboard.press('Escape')
  await terminal.dock.getByRole('button', { name: 'Maximise the terminals' }).click()
  await sleep(300)
  await shot('terminal-maximised', at)
  await terminal.dock.getByRole('button', { name: 'Restore the terminals' }).click()
  await terminal.dock.getByRole('button', { name: 'Minimise the terminals' }).click()
  await shot('terminal-minimised', at)
  await terminal.dock.getByRole('tab').click()
  await terminal.dock.getByRole('tab').press('Delete')
  await at.page.getByRole('dialog').getByText('Close this terminal?').waitFor()
  await at.page.getByRole('button', { name: 'End it' }).click()
  await terminal.dock.waitFor({ state: 'detached' })
  expect(found).toEqual([])
})
