import classes from './facts.module.css'

/** Names and values of one thing, as a list that screen readers read in pairs. */
export function Facts({ items }: { items: [string, React.ReactNode][] }) {
  return (
    <dl className={classes.facts}>
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? '–'}</dd>
        </div>
      ))}
    </dl>
  )
}
