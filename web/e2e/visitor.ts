/** Somebody at a browser. What goes wrong in the page or its console is kept, and fails the test. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { PASSWORD, type TestServer } from './server'

const SHOTS = join(import.meta.dirname, 'screenshots')

export class Visitor {
  readonly errors: string[] = []

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  static async come(
    browser: Browser,
    server: TestServer,
    options: BrowserContextOptions = {},
  ): Promise<Visitor> {
    const context = await browser.newContext({
      baseURL: server.front.url,
      viewport: { width: 1280, height: 720 },
      permissions: ['clipboard-read', 'clipboard-write'],
      colorScheme: 'light',
      ...options,
    })
    await context.addInitScript(() => {
      // What is drawn by the graphics card cannot be read by a test.
      if (!localStorage.getItem('gururmm.terminal')) {
        localStorage.setItem('gururmm.terminal', JSON.stringify({ gpu: false }))
      }
    })
    const page = await context.newPage()
    page.setDefaultTimeout(60_000)
    const visitor = new Visitor(context, page)
    page.on('pageerror', error => visitor.errors.push(`${error.stack ?? error}`))
    page.on('console', message => {
      if (message.type() === 'error' && !isRefusal(message.text()))
        visitor.errors.push(message.text())
    })
    page.on('request', request => {
      const { origin } = new URL(request.url())
      if (origin !== server.front.url && !/^(data|blob):/.test(request.url())) {
        visitor.errors.push(`a request to another origin: ${request.url()}`)
      }
    })
    return visitor
  }

  async logIn(email = 'ada@example.com', path = '/devices'): Promise<void> {
    await this.page.goto(path)
    await this.page.getByLabel('E-mail').fill(email)
    await this.page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await this.page.getByRole('button', { name: 'Log in' }).click()
    await this.page.getByRole('navigation', { name: 'Pages' }).waitFor({ state: 'attached' })
    await this.isLive()
  }

  /** Until the header says that what is shown is live, by the line of events. */
  async isLive(): Promise<void> {
    await this.page
      .getByRole('banner')
      .getByText('Live', { exact: true })
      .waitFor({ state: 'attached' })
  }

  /** To another page without loading the dashboard anew. */
  async go(path: string): Promise<void> {
    await this.page.evaluate(to => history.pushState({}, '', to), path)
    await this.settle()
  }

  /** Until nothing has been loading for a while. */
  async settle(): Promise<void> {
    await this.page.waitForFunction(
      () => {
        const now = performance.now()
        const busy = document.querySelector('[aria-busy="true"], .mantine-Skeleton-root')
        const window_ = window as { quietSince?: number }
        if (busy) window_.quietSince = undefined
        else window_.quietSince ??= now
        return window_.quietSince !== undefined && now - window_.quietSince > 500
      },
      undefined,
      { timeout: 60_000, polling: 50 },
    )
    await this.page.evaluate(() => {
      ;(window as { quietSince?: number }).quietSince = undefined
    })
  }

  /** Until what changes its colour or place has done so. */
  async still(): Promise<void> {
    await this.page.evaluate(async () => {
      const ends = document
        .getAnimations()
        .filter(animation => animation.effect?.getComputedTiming().iterations !== Infinity)
      await Promise.allSettled(ends.map(animation => animation.finished))
    })
  }

  async shot(name: string): Promise<void> {
    mkdirSync(SHOTS, { recursive: true })
    await this.page.screenshot({ path: join(SHOTS, `${name}.png`) })
  }

  async leave(): Promise<void> {
    await this.context.close()
  }
}

/** What browsers log of answers that the dashboard expects: who am I (401), nothing there yet (404). */
function isRefusal(text: string): boolean {
  return /Failed to load resource: the server responded with a status of 4\d\d/.test(text)
}
