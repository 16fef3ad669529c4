import { Skeleton, Stack } from '@mantine/core'
import { lazy, Suspense } from 'react'
import type { FilesPanelProps } from './files-panel'

const Panel = lazy(() => import('./files-panel'))

/** The files of a machine: look, send, fetch, change. */
export function FilesPanel(props: FilesPanelProps) {
  return (
    <Suspense fallback={<FilesSkeleton />}>
      <Panel key={props.agentId} {...props} />
    </Suspense>
  )
}

function FilesSkeleton() {
  return (
    <Stack gap={8} p="sm" aria-label="Loading the files">
      {[320, 500, 420, 460].map(width => (
        <Skeleton key={width} height={14} width={width} />
      ))}
    </Stack>
  )
}
