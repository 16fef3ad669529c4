import { UnstyledButton } from '@mantine/core'
import { useState } from 'react'
import type { FileInfo } from '../machine'
import classes from './browse.module.css'
import { type FileActs, FileRow } from './file-row'
import { type Sort, type SortColumn, sorted } from './use-listing'

const COLUMNS: { column: SortColumn; label: string; number?: boolean }[] = [
  { column: 'name', label: 'Name' },
  { column: 'size', label: 'Size', number: true },
  { column: 'modified', label: 'Changed' },
]

/** What lies in a folder. */
export function FileTable({ items, acts }: { items: FileInfo[]; acts: FileActs }) {
  const [sort, setSort] = useState<Sort>({ column: 'name', down: false })
  const turn = (column: SortColumn) =>
    setSort(before => ({ column, down: before.column === column && !before.down }))
  return (
    <div className={classes.frame}>
      <table className={classes.table} aria-label="Files">
        <thead>
          <tr>
            {COLUMNS.map(({ column, label, number }) => {
              const isSorted = sort.column === column
              const direction = sort.down ? 'descending' : 'ascending'
              return (
                <th
                  key={column}
                  scope="col"
                  aria-sort={isSorted ? direction : undefined}
                  className={number ? classes.number : column === 'name' ? classes.name : undefined}
                >
                  <UnstyledButton className={classes.sort} onClick={() => turn(column)}>
                    {label}
                    {isSorted && (sort.down ? ' ↓' : ' ↑')}
                  </UnstyledButton>
                </th>
              )
            })}
            <th scope="col" className={`${classes.head} ${classes.wide}`}>
              Mode
            </th>
            <th scope="col" className={`${classes.head} ${classes.wide}`}>
              Owner
            </th>
            <th scope="col" aria-label="Actions" />
          </tr>
        </thead>
        <tbody>
          {sorted(items, sort).map((file, at) => (
            // Names that are no UTF-8 may look the same.
            <FileRow
              key={file.unnameable ? `${file.name} ${at}` : file.name}
              file={file}
              acts={acts}
            />
          ))}
        </tbody>
      </table>
    </div>
  )
}
