/** Serves the dashboard and passes the rest on to the server; can cut every line and refuse new ones. */

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

const DIST = process.env.GURURMM_WEB_DIST ?? join(import.meta.dirname, '../dist')

/** As strict as the dashboard can bear. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const PASSED = /^\/(api\/|readyz$|healthz$|metrics$)/

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
  /** Whether the server has the dashboard in it; else it is served from what was built here. */
  #embedded = false

  private constructor(
    readonly server: Server,
    readonly target: { host: string; port: number },
  ) {}

  static async start(address: string): Promise<Front> {
    const [host = '127.0.0.1', port] = address.split(':')
    const server = createServer()
    const front = new Front(server, { host, port: Number(port) })
    front.#embedded = (await (await fetch(`http://${address}/`)).text()).includes('id="root"')
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
    if (this.#embedded || PASSED.test(path)) this.#pass(asked, answer)
    else serveFile(path, answer)
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

function serveFile(path: string, answer: ServerResponse): void {
  const wanted = join(DIST, normalize(path))
  const isFile = wanted.startsWith(DIST) && existsSync(wanted) && statSync(wanted).isFile()
  const file = isFile ? wanted : join(DIST, 'index.html')
  answer.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
  })
  createReadStream(file).pipe(answer)
}
