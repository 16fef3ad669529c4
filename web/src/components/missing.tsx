import { type ErrorComponentProps, useRouter } from '@tanstack/react-router'
import { Empty } from '~/ui/empty'
import { ErrorNote } from '~/ui/error-note'
import { Link } from '~/ui/link'

export function Missing() {
  return (
    <Empty title="There is no such page" text="The address may be mistyped, or the page has moved.">
      <Link to="/devices">To the devices</Link>
    </Empty>
  )
}

export function Broken({ error, reset }: ErrorComponentProps) {
  const router = useRouter()
  return (
    <div style={{ padding: 24 }}>
      <ErrorNote
        error={error}
        title="This page could not be shown"
        retry={() => {
          reset()
          void router.invalidate()
        }}
      />
    </div>
  )
}
