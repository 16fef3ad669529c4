/** A `systemctl` whose services the test decides, for machines without systemd. */

import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SYSTEMCTL = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$1" in
list-units) cat units ;;
list-unit-files) cat files ;;
esac
`

export class StandInServices {
  private constructor(readonly folder: string) {}

  static make(folder: string): StandInServices {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'systemctl'), SYSTEMCTL, { mode: 0o755 })
    const services = new StandInServices(folder)
    services.are({ cron: 'running', nginx: 'running', ssh: 'running', cups: 'dead' })
    return services
  }

  are(states: Record<string, 'running' | 'failed' | 'dead'>): void {
    const names = Object.keys(states)
    this.#write(
      'units',
      names.map(name => {
        const sub = states[name]
        const active = { running: 'active', failed: 'failed', dead: 'inactive' }[sub ?? 'dead']
        return `${name}.service loaded ${active} ${sub} The ${name} service`
      }),
    )
    this.#write(
      'files',
      names.map(name => `${name}.service enabled enabled`),
    )
  }

  /** Whole, whenever it is read. */
  #write(name: string, lines: string[]): void {
    const path = join(this.folder, name)
    writeFileSync(`${path}.new`, `${lines.join('\n')}\n`)
    renameSync(`${path}.new`, path)
  }
}
