import { Group, Title } from '@mantine/core'
import classes from './card.module.css'

export function Card({
  title,
  actions,
  children,
  className,
}: {
  title?: string
  actions?: React.ReactNode
  children: React.ReactNode
  className?: string
}) {
  return (
    <section className={`${classes.card} ${className ?? ''}`} aria-label={title}>
      {title && (
        <Group justify="space-between" mb={8} gap="xs">
          <Title order={2}>{title}</Title>
          {actions}
        </Group>
      )}
      {children}
    </section>
  )
}
