import { Checkbox, Skeleton } from '@mantine/core'
import { columnVisibilityFeature, tableFeatures, useTable } from '@tanstack/react-table'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef } from 'react'
import { ErrorNote } from './error-note'
import classes from './grid.module.css'
import { GridHead } from './grid-head'
import { useGridKeys } from './grid-keys'
import { type GridColumn, GridRow } from './grid-row'

export type { GridColumn } from './grid-row'

interface GridProps<T> {
  label: string
  columns: GridColumn<T>[]
  rows: T[] | undefined
  rowKey: (row: T) => string
  /** Columns that are not shown: `{os: false}`. */
  visibility?: Record<string, boolean>
  /** As the API takes it: a word, `-` before it for the other direction. */
  sort?: string
  onSort?: (sort: string) => void
  selected?: ReadonlySet<string>
  onSelect?: (selected: Set<string>) => void
  /** Enter on a row. */
  onOpen?: (row: T) => void
  error?: unknown
  retry?: () => void
  empty?: React.ReactNode
  /** More rows are there and come when the end is in sight. */
  more?: { has: boolean; busy: boolean; fetch: () => void }
}

const ROW_PX = 36
const features = tableFeatures({ columnVisibilityFeature })
const NONE: never[] = []

/** Rows by the thousand: only those in sight are in the page, and one of them holds the keyboard. */
export function Grid<T extends object>(props: GridProps<T>) {
  const { rows, rowKey, selected, onSelect, more } = props
  const scroller = useRef<HTMLDivElement>(null)
  const table = useTable({
    features,
    columns: useMemo(
      () => props.columns.map(column => ({ id: column.id, header: column.header })),
      [props.columns],
    ),
    data: (rows ?? NONE) as T[],
    state: { columnVisibility: props.visibility ?? {} },
  })
  const shown = new Set(table.getVisibleLeafColumns().map(column => column.id))
  const columns = props.columns.filter(column => shown.has(column.id))

  const keys = useMemo(() => (rows ?? []).map(rowKey), [rows, rowKey])
  const cursor = useGridKeys({
    keys,
    scroller,
    open: index => {
      const row = rows?.[index]
      if (row) props.onOpen?.(row)
    },
    toggle: onSelect && (key => onSelect(toggled(selected, key))),
    scrollTo: index => virtual.scrollToIndex(index),
  })
  const virtual = useVirtualizer({
    count: keys.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
    getItemKey: index => keys[index] ?? index,
    // The row with the keyboard stays in the page though it is scrolled away, or the focus were lost.
    rangeExtractor: range => {
      const first = Math.max(0, range.startIndex - range.overscan)
      const last = Math.min(range.count - 1, range.endIndex + range.overscan)
      const inSight = Array.from({ length: last - first + 1 }, (_, at) => first + at)
      const focused = cursor.index
      if (focused >= 0 && (focused < first || focused > last)) inSight.push(focused)
      return inSight.sort((a, b) => a - b)
    },
  })

  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (more?.has && !more.busy && last >= keys.length - 20) more.fetch()
  }, [more, last, keys.length])

  const template = [onSelect && '34px', ...columns.map(column => column.width)]
    .filter(Boolean)
    .join(' ')
  const allSelected = keys.length > 0 && keys.every(key => selected?.has(key))

  if (props.error && !rows) return <ErrorNote error={props.error} retry={props.retry} />
  if (rows && rows.length === 0 && props.empty) return <>{props.empty}</>
  return (
    <div className={classes.scroller} ref={scroller}>
      <div
        role="grid"
        aria-label={props.label}
        aria-rowcount={more?.has ? -1 : keys.length + 1}
        aria-multiselectable={onSelect ? true : undefined}
        aria-busy={!rows}
        className={classes.grid}
        style={{ '--grid-template': template } as React.CSSProperties}
        onKeyDown={cursor.onKeyDown}
      >
        <GridHead
          columns={columns}
          sort={props.sort}
          onSort={props.onSort}
          select={
            onSelect && (
              <Checkbox
                aria-label="Select all that are listed"
                checked={allSelected}
                indeterminate={!allSelected && Boolean(selected?.size)}
                onChange={() => onSelect(new Set(allSelected ? [] : keys))}
              />
            )
          }
        />
        <div
          role="rowgroup"
          className={classes.body}
          style={{ height: rows ? virtual.getTotalSize() : undefined }}
        >
          {!rows && <Waiting columns={columns.length} selectable={Boolean(onSelect)} />}
          {items.map(item => {
            const row = rows?.[item.index]
            if (!row) return null
            const key = keys[item.index] as string
            return (
              <GridRow
                key={key}
                row={row}
                rowId={key}
                index={item.index}
                top={item.start}
                columns={columns as GridColumn<object>[]}
                selected={selected?.has(key)}
                onToggle={onSelect && (() => onSelect(toggled(selected, key)))}
                focusable={cursor.index === item.index || (cursor.index < 0 && item.index === 0)}
                onFocus={cursor.take}
              />
            )
          })}
        </div>
      </div>
    </div>
  )
}

function toggled(selected: ReadonlySet<string> | undefined, key: string): Set<string> {
  const next = new Set(selected)
  if (!next.delete(key)) next.add(key)
  return next
}

function Waiting({ columns, selectable }: { columns: number; selectable: boolean }) {
  const cells = Array.from({ length: columns + (selectable ? 1 : 0) }, (_, at) => at)
  return Array.from({ length: 12 }, (_, row) => row).map(row => (
    <div key={row} className={classes.waiting} role="row">
      {cells.map(cell => (
        <div key={cell} role="gridcell">
          <Skeleton
            height={10}
            width={cell === 0 && selectable ? 14 : `${40 + ((row * 7 + cell * 13) % 45)}%`}
          />
        </div>
      ))}
    </div>
  ))
}
