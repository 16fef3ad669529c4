/** Stands before the server as a proxy does; can cut every line and refuse new ones. */

import { createReadStream, existsSync, statSync } from 'node:fs'
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { extname, join, normalize } from 'node:path'

/** Where the dashboard is, if it is not the one that the server has. */
const DIST = process.env.GURURMM_WEB_DIST

const PASSED = /^\/(api\/|ws$|readyz$|healthz$|metrics$)/

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

export class Front {
  readonly #sockets = new Set<Socket>()
  #refusing = false
  /** Whether a line was cut at any time; browsers complain of that. */
  wasCut = false

  private constructor(
    readonly server: Server,
    readonly target: { host: string; port: number },
    /** What the server says its pages may do. */
    readonly policy: string,
  ) {}

  static async start(address: string): Promise<Front> {
    const [host = '127.0.0.1', port] = address.split(':')
    const server = createServer()
    const page = await fetch(`http://${address}/`)
    const policy = page.headers.get('content-security-policy')
    if (!policy) throw new Error('the page has no Content-Security-Policy')
    if (!DIST && !(await page.text()).includes('id="root"')) {
      throw new Error('the server has no dashboard: npm run build')
    }
    const front = new Front(server, { host, port: Number(port) }, policy)
    server.on('connection', socket => front.#connected(socket))
    server.on('request', (asked, answer) => front.#serve(asked, answer))
    server.on('upgrade', (asked, socket, head) => front.#upgrade(asked, socket as Socket, head))
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    return front
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Breaks every connection, without a goodbye; none is taken until {@link mend}. */
  cut(): void {
    this.#refusing = true
    this.wasCut = true
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  mend(): void {
    this.#refusing = false
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(done => this.server.close(done))
  }

  #connected(socket: Socket): void {
    if (this.#refusing) {
      socket.resetAndDestroy()
      return
    }
    socket.on('error', () => undefined)
    socket.setNoDelay(true)
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
  }

  #serve(asked: IncomingMessage, answer: ServerResponse): void {
    const path = new URL(asked.url ?? '/', this.url).pathname
    if (!DIST || PASSED.test(path)) this.#pass(asked, answer)
    else serveFile(DIST, path, this.policy, answer)
  }

  #pass(asked: IncomingMessage, answer: ServerResponse): void {
    const { method, url, headers } = asked
    const passed = request({ ...this.target, method, path: url, headers }, response => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
      response.on('error', () => answer.destroy())
    })
    passed.on('error', () => answer.destroy())
    answer.on('close', () => passed.destroy())
    asked.pipe(passed)
  }

  #upgrade(asked: IncomingMessage, socket: Socket, head: Buffer): void {
    const behind = connect(this.target.port, this.target.host, () => {
      const lines = [`${asked.method} ${asked.url} HTTP/1.1`]
      for (let at = 0; at < asked.rawHeaders.length; at += 2) {
        lines.push(`${asked.rawHeaders[at]}: ${asked.rawHeaders[at + 1]}`)
      }
      behind.write(`${lines.join('\r\n')}\r\n\r\n`)
      behind.write(head)
      socket.pipe(behind).pipe(socket)
    })
    behind.setNoDelay(true)
    behind.on('error', () => socket.destroy())
    behind.on('close', () => socket.destroy())
    socket.on('close', () => behind.destroy())
  }
}

function serveFile(dist: string, path: string, policy: string, answer: ServerResponse): void {
  const wanted = join(dist, normalize(path))
  const isFile = wanted.startsWith(dist) && existsSync(wanted) && statSync(wanted).isFile()
  const file = isFile ? wanted : join(dist, 'index.html')
  answer.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
  })
  createReadStream(file).pipe(answer)
}
