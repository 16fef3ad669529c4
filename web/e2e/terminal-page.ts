/** The dock as a test uses it. */

import type { Locator, Page } from 'playwright-core'
import { until } from './terminal-world'

export class TerminalPage {
  readonly dock: Locator

  constructor(readonly page: Page) {
    this.dock = page.getByRole('region', { name: 'Terminals' })
  }

  /** Opens a terminal from the device's page and waits for its shell. */
  async open(): Promise<void> {
    await this.page
      .getByRole('button', { name: /Terminal/ })
      .first()
      .click()
    await this.ready()
  }

  /** Waits until the shell answers. */
  async ready(): Promise<void> {
    await this.dock.locator('.xterm-rows').first().waitFor()
    // Not into the history of whoever runs the tests.
    await this.run('unset HISTFILE; PS1="$ "; clear; echo rea""dy')
    await this.shows('ready')
  }

  /** Types a line into the terminal that has the focus. */
  async run(line: string): Promise<void> {
    await this.page.keyboard.type(line)
    await this.page.keyboard.press('Enter')
  }

  async text(): Promise<string> {
    const rows = await this.dock.locator('.xterm-rows > div').allInnerTexts()
    return rows.map(row => row.replaceAll('\u00a0', ' ').trimEnd()).join('\n')
  }

  async shows(text: string | RegExp, patienceMs = 60_000): Promise<string> {
    let seen = ''
    const found = () => (typeof text === 'string' ? seen.includes(text) : text.test(seen))
    try {
      await until(
        `the terminal shows ${text}`,
        async () => {
          seen = await this.text()
          return found()
        },
        patienceMs,
      )
    } catch (error) {
      throw new Error(`${error}; it shows:\n${seen}`)
    }
    return seen
  }

  /** All that a program wrote to a file, by the agent's own machine. */
  note(text: string | RegExp): Locator {
    return this.dock.getByText(text)
  }
}
