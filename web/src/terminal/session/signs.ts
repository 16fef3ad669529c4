/** Which input the server surely has: `pong` answers `ping` in order, so all that went before it has arrived. */

import type { TerminalChannel } from './terminal-channel'

export class Signs {
  /** How far each terminal's input was at each question that is not answered yet. */
  #asked: (readonly [TerminalChannel, number])[][] = []

  asked(channels: TerminalChannel[]): void {
    this.#asked.push(channels.map(channel => [channel, channel.typed.fed] as const))
  }

  answered(): void {
    for (const [channel, fed] of this.#asked.shift() ?? []) channel.typed.confirm(fed)
  }

  forget(): void {
    this.#asked = []
  }
}
