import classes from './table.module.css'

interface TableProps {
  label: string
  head: string[]
  rows: { key: string; cells: React.ReactNode[] }[]
  none: string
}

/** A short table, for parts of a page; long lists are grids. */
export function Table({ label, head, rows, none }: TableProps) {
  if (rows.length === 0) return <p className={classes.none}>{none}</p>
  return (
    <div className={classes.scroller}>
      <table className={classes.table} aria-label={label}>
        <thead>
          <tr>
            {head.map(name => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={row.key}>
              {row.cells.map((cell, at) => (
                <td key={head[at]}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
