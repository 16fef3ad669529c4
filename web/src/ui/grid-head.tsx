import classes from './grid.module.css'
import type { GridColumn } from './grid-row'

interface GridHeadProps<T> {
  columns: GridColumn<T>[]
  sort?: string
  onSort?: (sort: string) => void
  select?: React.ReactNode
}

export function GridHead<T>({ columns, sort, onSort, select }: GridHeadProps<T>) {
  return (
    <div role="rowgroup" className={classes.head}>
      <div role="row" className={classes.headRow} aria-rowindex={1}>
        {select && (
          <div role="columnheader" className={classes.cell}>
            {select}
          </div>
        )}
        {columns.map(column => (
          <div
            key={column.id}
            role="columnheader"
            className={classes.cell}
            data-end={column.end || undefined}
            aria-sort={sorted(column, sort)}
          >
            {column.sort && onSort ? (
              <button
                type="button"
                className={classes.sort}
                onClick={() => onSort(turned(column.sort as string, sort))}
              >
                {column.header}
                <span aria-hidden="true">{arrow(column, sort)}</span>
              </button>
            ) : (
              column.header
            )}
          </div>
        ))}
      </div>
    </div>
  )
}

function sorted<T>(column: GridColumn<T>, sort?: string) {
  if (!column.sort) return undefined
  if (sort === column.sort) return 'ascending'
  if (sort === `-${column.sort}`) return 'descending'
  return 'none'
}

function arrow<T>(column: GridColumn<T>, sort?: string): string {
  const direction = sorted(column, sort)
  return direction === 'ascending' ? ' ↑' : direction === 'descending' ? ' ↓' : ''
}

function turned(word: string, sort?: string): string {
  return sort === word ? `-${word}` : word
}
