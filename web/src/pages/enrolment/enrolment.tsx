import { Button, Stack } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import { Card } from '~/ui/card'
import { Page } from '~/ui/page'
import { Duplicates } from './duplicates'
import { Pending } from './pending'
import { TokenDialog } from './token-dialog'
import { Tokens } from './tokens'

const AddDevice = lazy(() => import('~/components/add-device/add-device'))

/** How devices come in: tokens, approvals, and devices that came in twice. */
export default function EnrolmentPage() {
  const [open, setOpen] = useState<'token' | 'device' | null>(null)
  return (
    <Page
      title="Enrolment"
      actions={
        <>
          <Button variant="default" onClick={() => setOpen('token')}>
            New token
          </Button>
          <Button onClick={() => setOpen('device')}>Add device</Button>
        </>
      }
    >
      <Stack gap="sm">
        <Card title="Waiting for approval">
          <Pending />
        </Card>
        <Card title="Tokens">
          <Tokens />
        </Card>
        <Card title="Enrolled more than once">
          <Duplicates />
        </Card>
      </Stack>
      {open === 'token' && <TokenDialog onClose={() => setOpen(null)} />}
      <Suspense>{open === 'device' && <AddDevice onClose={() => setOpen(null)} />}</Suspense>
    </Page>
  )
}
