/**
 * A world for the browser tests of terminals and files: a real server with a real agent, and before them a proxy that
 * serves the dashboard and can cut every line, as a bad network does.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { Front } from './terminal-front'

const BINARIES = process.env.GURURMM_BIN ?? join(import.meta.dirname, '../../target/debug')
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const PASSWORD = 'correct horse battery'

export interface World {
  front: Front
  /** Of the administrator. */
  token: string
  /** Of the technician. */
  technician: string
  agentId: string
  /** A folder on the "machine". */
  folder: string
  log(): string
  /** What the person at the machine says from now on, as the exit code of `consent.program`. */
  answerConsent(code: 0 | 1 | 3): void
  call(method: string, path: string, body?: object, token?: string): Promise<Answer>
  /** A machine has one session at a time. */
  endSessions(): Promise<void>
  close(): Promise<void>
}

export interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect
  json: any
}

export async function startWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'gururmm-web-'))
  const processes: ChildProcess[] = []
  let logged = ''
  const start = (program: string, args: string[], environment: Record<string, string>) => {
    const { PATH = '', HOME = folder } = process.env
    const child = spawn(join(BINARIES, program), args, {
      env: { PATH, HOME, LANG: 'C.UTF-8', SHELL: '/bin/bash', ...environment },
      cwd: folder,
    })
    const keep = (chunk: Buffer) => {
      logged += `${program}: ${chunk}`
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    processes.push(child)
  }
  const data = join(folder, 'data')
  start('gururmm-server', ['serve', '--listen', '127.0.0.1:0'], {
    GURURMM_DATA_DIR: data,
    GURURMM_LIMITS__REQUESTS_PER_MINUTE: '10000000',
  })
  const address = join(data, 'listen.addr')
  await until(
    'the server listens',
    () => existsSync(address) && existsSync(join(data, 'setup-token')),
  )
  const server = readFileSync(address, 'utf8').trim()
  const front = await Front.start(server)
  const call: World['call'] = async (method, path, body, token) => {
    const response = await fetch(`http://${server}${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return { status: response.status, json: await response.json().catch(() => null) }
  }
  const setup = await call('POST', '/api/auth/setup', {
    token: readFileSync(join(data, 'setup-token'), 'utf8').trim(),
    email: 'admin@example.com',
    name: 'Ada',
    password: PASSWORD,
  })
  const token: string = setup.json.token
  const user = { email: 'tech@example.com', name: 'Grace', password: PASSWORD, role: 'technician' }
  await call('POST', '/api/users', user, token)
  const { email, password } = user
  const technician: string = (await call('POST', '/api/auth/login', { email, password })).json.token
  const client = await call('POST', '/api/clients', { name: 'Acme' }, token)
  const site = await call('POST', '/api/sites', { client_id: client.json.id, name: 'HQ' }, token)
  const config = join(folder, 'agent.toml')
  const person = join(folder, 'person')
  const answerConsent = (code: number) =>
    writeFileSync(person, `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 })
  answerConsent(0)
  writeFileSync(
    config,
    `[server]\nurl = "ws://${server}/ws"\napi_key = "${site.json.api_key}"\n` +
      `[agent]\nstate_dir = "${join(folder, 'state')}"\ndevice_id = "web-${process.pid}"\n` +
      `[consent]\nprogram = "${person}"\n`,
  )
  start('gururmm-agent', ['run', '--config', config], {})
  let agentId = ''
  await until('the agent is online', async () => {
    const { json } = await call('GET', '/api/agents', undefined, token)
    const online = json.items?.find((agent: { status: string }) => agent.status === 'online')
    agentId = online?.id ?? ''
    return agentId !== ''
  })
  return {
    front,
    token,
    technician,
    agentId,
    folder,
    log: () => logged,
    answerConsent,
    call,
    async endSessions() {
      for (const whose of [token, technician]) {
        const { json } = await call('GET', '/api/v1/tunnel', undefined, whose)
        for (const { session_id } of json.items) {
          await call('POST', '/api/v1/tunnel/close', { session_id }, whose)
        }
      }
    },
    async close() {
      await front.close()
      const ended = processes.map(child => new Promise(done => child.once('exit', done)))
      for (const child of processes) child.kill('SIGTERM')
      await Promise.race([Promise.all(ended), sleep(6000)])
      for (const child of processes) child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
}

export interface Desk {
  context: BrowserContext
  page: Page
  /** Errors of the page and its console; a test ends by looking at them. */
  errors: string[]
}

/** Somebody at a browser, logged in, with a page of the device. */
export async function sitDown(
  browser: Browser,
  { front, agentId }: World,
  email = 'admin@example.com',
): Promise<Desk> {
  const context = await browser.newContext({
    baseURL: front.url,
    viewport: { width: 1280, height: 720 },
    permissions: ['clipboard-read', 'clipboard-write'],
    acceptDownloads: true,
  })
  // What is drawn by the graphics card cannot be read by a test.
  await context.addInitScript(() => {
    if (!localStorage.getItem('gururmm.terminal')) {
      localStorage.setItem('gururmm.terminal', JSON.stringify({ gpu: false }))
    }
  })
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const errors: string[] = []
  page.on('pageerror', error => errors.push(`${error.stack ?? error}`))
  page.on('console', message => {
    // Requests that fail while the line is cut are told by the browser itself; refusals are expected ones.
    const told = front.wasCut
      ? /Failed to load resource|WebSocket connection to/
      : /Failed to load resource: the server responded with a status of 4\d\d/
    const isOfLine = told.test(message.text())
    if (message.type() === 'error' && !isOfLine) errors.push(message.text())
  })
  await page.goto(`/devices/${agentId}`)
  await logIn(page, email)
  return { context, page, errors }
}

/** Logs in, where the page asks for it. */
export async function logIn(page: Page, email = 'admin@example.com'): Promise<void> {
  const terminal = page.getByRole('button', { name: /Terminal/ }).first()
  const field = page.getByLabel('E-mail')
  await field.or(terminal).first().waitFor()
  if (!(await field.isVisible())) return
  await field.fill(email)
  await page.locator('input[name=password]').fill(PASSWORD)
  await page.getByRole('button', { name: 'Log in' }).click()
  await terminal.waitFor()
}

export function sleep(ms: number): Promise<void> {
  return new Promise(done => setTimeout(done, ms))
}

export async function until(
  what: string,
  look: () => boolean | Promise<boolean>,
  patienceMs = 60_000,
): Promise<void> {
  const end = Date.now() + patienceMs
  while (!(await look())) {
    if (Date.now() > end) throw new Error(`it did not come about that ${what}`)
    await sleep(100)
  }
}
