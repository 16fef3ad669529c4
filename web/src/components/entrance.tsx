import { Paper, Stack, Title } from '@mantine/core'
import { useEffect } from 'react'
import classes from './entrance.module.css'

/** The frame of the log-in and of the set-up. */
export function Entrance({ title, children }: { title: string; children: React.ReactNode }) {
  useEffect(() => {
    document.title = `${title} · GuruRMM`
  }, [title])
  return (
    <main className={classes.entrance}>
      <Paper className={classes.card} withBorder>
        <Stack gap="md">
          <div className={classes.brand}>
            <img src="/favicon.svg" alt="" width={28} height={28} />
            <span>GuruRMM</span>
          </div>
          <Title order={1}>{title}</Title>
          {children}
        </Stack>
      </Paper>
    </main>
  )
}
