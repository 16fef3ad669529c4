import { lazy, Suspense } from 'react'
import { useStore } from '~/util/store'
import { dock } from './tabs/dock-store'

const Dock = lazy(() => import('./dock/dock'))

/** Terminals below the pages; to be mounted above the router, once, so that they outlive navigation. */
export function TerminalDock() {
  const { layout } = useStore(dock)
  if (layout.groups.length === 0) return null
  return (
    <Suspense fallback={null}>
      <Dock />
    </Suspense>
  )
}
