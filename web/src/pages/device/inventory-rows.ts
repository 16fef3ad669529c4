import type { Schemas } from '~/api/client'
import { bytes } from '~/util/format'
import { plain } from '~/util/untrusted'

type Sections = Schemas['InventorySections']

export interface SectionTable {
  head: string[]
  rows: string[][]
}

/** Each section as a table of texts; null where the agent could not find it out. */
export const SECTIONS = {
  hardware: ({ hardware: of }: Sections) =>
    of &&
    pairs([
      ['Vendor', of.vendor],
      ['Model', of.model],
      ['Serial number', of.serial],
      ['Processor', of.cpu_model],
      ['Cores', of.cpu_cores?.toString()],
      ['Memory', bytes(of.memory_bytes)],
    ]),
  os: ({ os: of }: Sections) =>
    of &&
    pairs([
      ['Host name', of.hostname],
      ['System', of.name],
      ['Version', of.version],
      ['Kernel', of.kernel],
      ['Architecture', of.arch],
    ]),
  disks: ({ disks }: Sections) =>
    disks && {
      head: ['Mounted at', 'Device', 'File system', 'Size'],
      rows: disks.map(disk => [
        disk.mount,
        disk.device ?? '',
        disk.file_system ?? '',
        bytes(disk.total_bytes),
      ]),
    },
  network: ({ network }: Sections) =>
    network && {
      head: ['Interface', 'MAC', 'Addresses'],
      rows: network.map(one => [one.name, one.mac ?? '', (one.addresses ?? []).join(', ')]),
    },
  software: ({ software }: Sections) =>
    software && {
      head: ['Name', 'Version'],
      rows: software.map(one => [one.name, one.version ?? '']),
    },
  services: ({ services }: Sections) =>
    services && {
      head: ['Name', 'State', 'Description'],
      rows: services.map(one => [one.name, one.state ?? '', one.description ?? '']),
    },
  users: ({ users }: Sections) =>
    users && { head: ['Name', 'Terminal'], rows: users.map(one => [one.name, one.terminal ?? '']) },
} satisfies Record<string, (sections: Sections) => SectionTable | null | undefined>

export type Section = keyof typeof SECTIONS

function pairs(of: [string, string | null | undefined][]): SectionTable {
  return { head: ['What', 'Value'], rows: of.map(([name, value]) => [name, value || '–']) }
}

export function sectionRows(table: SectionTable, q: string) {
  const wanted = q.toLowerCase()
  return table.rows
    .filter(row => row.some(cell => cell.toLowerCase().includes(wanted)))
    .map((row, at) => ({ key: `${at}-${row[0]}`, cells: row.map(cell => plain(cell, 300)) }))
}
