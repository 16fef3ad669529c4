/** A real server in a folder of its own, and agents before it; the dashboard is served by the front. */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Front } from './terminal-front'
import { sleep, until } from './terminal-world'

const BINARIES = process.env.GURURMM_BIN ?? join(import.meta.dirname, '../../target/debug')

export const PASSWORD = 'correct horse battery'

export interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect
  json: any
}

export class TestServer {
  readonly #processes: ChildProcess[] = []
  #log = ''

  private constructor(
    readonly folder: string,
    readonly address: string,
    readonly setupToken: string,
    readonly front: Front,
  ) {}

  static async start(settings: Record<string, string> = {}): Promise<TestServer> {
    const folder = mkdtempSync(join(tmpdir(), 'gururmm-web-'))
    const data = join(folder, 'data')
    const child = spawn(join(BINARIES, 'gururmm-server'), ['serve', '--listen', '127.0.0.1:0'], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        GURURMM_DATA_DIR: data,
        GURURMM_LIMITS__REQUESTS_PER_MINUTE: '10000000',
        GURURMM_AGENTS__ENROLLMENTS_PER_SITE_PER_MINUTE: '100000',
        GURURMM_AUTH__ADDRESS_ATTEMPTS_PER_MINUTE: '100000',
        GURURMM_AUTH__ACCOUNT_ATTEMPTS_PER_MINUTE: '100000',
        ...settings,
      },
    })
    let log = ''
    child.stdout?.on('data', chunk => {
      log += chunk
    })
    child.stderr?.on('data', chunk => {
      log += chunk
    })
    const address = join(data, 'listen.addr')
    const token = join(data, 'setup-token')
    try {
      await until('the server listens', () => existsSync(address) && existsSync(token))
    } catch (error) {
      throw new Error(`${error}\n${log}`)
    }
    const listening = readFileSync(address, 'utf8').trim()
    const front = await Front.start(listening)
    const server = new TestServer(folder, listening, readFileSync(token, 'utf8').trim(), front)
    server.#processes.push(child)
    child.stdout?.on('data', chunk => {
      server.#log += chunk
    })
    return server
  }

  get log(): string {
    return this.#log
  }

  async call(method: string, path: string, body?: object, token?: string): Promise<Answer> {
    const response = await fetch(`http://${this.address}${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return { status: response.status, json: await response.json().catch(() => null) }
  }

  /** As `call`, for what must succeed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect
  async must(method: string, path: string, body?: object, token?: string): Promise<any> {
    const { status, json } = await this.call(method, path, body, token)
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`)
    return json
  }

  /** The first administrator; answers a token for `call`. */
  async setUp(email = 'ada@example.com', name = 'Ada Example'): Promise<string> {
    const made = await this.must('POST', '/api/auth/setup', {
      token: this.setupToken,
      email,
      name,
      password: PASSWORD,
    })
    return made.token
  }

  /** Starts the real agent with a site's code or a token; programs of a folder stand in for the machine's. */
  startAgent(
    key: string,
    deviceId: string,
    url = `ws://${this.address}/ws`,
    programs = '',
  ): ChildProcess {
    const home = join(this.folder, deviceId)
    mkdirSync(home, { recursive: true })
    const config = join(home, 'agent.toml')
    writeFileSync(
      config,
      `[server]\nurl = "${url}"\napi_key = "${key}"\n` +
        `[agent]\nstate_dir = "${join(home, 'state')}"\ndevice_id = "${deviceId}"\n` +
        '[metrics]\ninterval_seconds = 10\n',
    )
    const child = spawn(join(BINARIES, 'gururmm-agent'), ['run', '--config', config], {
      cwd: home,
      env: {
        PATH: programs ? `${programs}:${process.env.PATH}` : process.env.PATH,
        HOME: home,
        SHELL: '/bin/bash',
      },
    })
    this.#processes.push(child)
    return child
  }

  async close(): Promise<void> {
    await this.front.close()
    const ended = this.#processes.map(child => new Promise(done => child.once('exit', done)))
    for (const child of this.#processes) child.kill('SIGTERM')
    await Promise.race([Promise.all(ended), sleep(6000)])
    for (const child of this.#processes) child.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}
