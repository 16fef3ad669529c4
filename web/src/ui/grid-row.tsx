import { Checkbox } from '@mantine/core'
import { memo } from 'react'
import classes from './grid.module.css'

export interface GridColumn<T> {
  id: string
  header: string
  /** A track of a CSS grid: `120px`, `minmax(160px, 2fr)`. */
  width: string
  cell: (row: T) => React.ReactNode
  /** The word that the API sorts by. */
  sort?: string
  end?: boolean
}

interface GridRowProps {
  row: object
  rowId: string
  index: number
  top: number
  columns: GridColumn<object>[]
  selected?: boolean
  onToggle?: () => void
  focusable: boolean
  onFocus: (key: string) => void
}

export const GridRow = memo(function GridRow(props: GridRowProps) {
  return (
    <div
      role="row"
      aria-rowindex={props.index + 2}
      aria-selected={props.onToggle ? Boolean(props.selected) : undefined}
      data-row={props.rowId}
      tabIndex={props.focusable ? 0 : -1}
      className={classes.row}
      style={{ transform: `translateY(${props.top}px)` }}
      onFocus={() => props.onFocus(props.rowId)}
    >
      {props.onToggle && (
        <div role="gridcell" className={classes.cell}>
          <Checkbox
            aria-label="Select row"
            checked={Boolean(props.selected)}
            onChange={props.onToggle}
            tabIndex={-1}
          />
        </div>
      )}
      {props.columns.map(column => (
        <div
          key={column.id}
          role="gridcell"
          className={classes.cell}
          data-end={column.end || undefined}
        >
          {column.cell(props.row)}
        </div>
      ))}
    </div>
  )
}, sameRow)

/** Callbacks are new at each rendering and stand for the same; what is shown decides. */
function sameRow(before: GridRowProps, after: GridRowProps): boolean {
  return (
    before.row === after.row &&
    before.columns === after.columns &&
    before.top === after.top &&
    before.index === after.index &&
    before.selected === after.selected &&
    before.focusable === after.focusable
  )
}
