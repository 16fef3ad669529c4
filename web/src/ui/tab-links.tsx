import classes from './tab-links.module.css'

/** Tabs that are links: each has an address, and opens in a new tab of the browser. */
export function TabLinks({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <nav className={classes.tabs} aria-label={label}>
      {children}
    </nav>
  )
}

export const tab = {
  className: classes.tab,
  activeProps: { 'data-active': true, 'aria-current': 'page' },
} as const
