import { Group, Title } from '@mantine/core'
import { useEffect } from 'react'
import classes from './page.module.css'

interface PageProps {
  title: string
  /** Shown instead of the title, as for a device with its state. */
  heading?: React.ReactNode
  actions?: React.ReactNode
  /** A grid fills the window and scrolls by itself; other pages scroll as a whole. */
  fill?: boolean
  children: React.ReactNode
}

export function Page({ title, heading, actions, fill, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · GuruRMM`
  }, [title])
  return (
    <div className={classes.page} data-fill={fill || undefined}>
      <Group className={classes.head} justify="space-between" gap="sm">
        {heading ?? <Title order={1}>{title}</Title>}
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </div>
  )
}
