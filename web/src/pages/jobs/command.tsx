import { Button, Group, Skeleton, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { hindrance } from '~/api/actions'
import { api, body } from '~/api/client'
import { useUser } from '~/api/me'
import { keys, queries } from '~/api/queries'
import { DeviceName } from '~/components/device-name'
import { typeName } from '~/components/run-dialog/command-types'
import { Card } from '~/ui/card'
import { ErrorNote } from '~/ui/error-note'
import { Facts } from '~/ui/facts'
import { Link } from '~/ui/link'
import { Page } from '~/ui/page'
import { Time } from '~/ui/time'
import { failed } from '~/ui/toast'
import { duration } from '~/util/format'
import { output, plain } from '~/util/untrusted'
import { scriptName } from './command-grid'
import { CommandStatus } from './command-status'

const route = getRouteApi('/inside/commands/$commandId')
const LIVE_MS = 1000

/** One command on one device, with its output as it comes. */
export default function CommandPage() {
  const { commandId } = route.useParams()
  const user = useUser()
  const asked = useQuery({
    queryKey: keys.command(commandId),
    queryFn: () => body(api.GET('/api/commands/{id}', { params: { path: { id: commandId } } })),
    refetchInterval: query =>
      query.state.data && !['pending', 'running'].includes(query.state.data.status)
        ? false
        : LIVE_MS,
  })
  const command = asked.data
  const cancel = async () => {
    try {
      await body(api.POST('/api/commands/{id}/cancel', { params: { path: { id: commandId } } }))
    } catch (error) {
      failed(error, 'The command was not cancelled')
    }
    void queries.invalidateQueries({ queryKey: keys.command(commandId) })
  }
  return (
    <Page
      title="Command"
      actions={
        command &&
        !hindrance('cancelCommand', user, command) && (
          <Button variant="default" onClick={() => void cancel()}>
            Cancel
          </Button>
        )
      }
    >
      <ErrorNote error={command ? null : asked.error} retry={() => void asked.refetch()} />
      {asked.isPending && <Skeleton height={160} />}
      {command && (
        <>
          <Card>
            <Facts
              items={[
                [
                  'State',
                  <CommandStatus
                    key="s"
                    status={command.status}
                    reason={command.reason}
                    exitCode={command.exit_code}
                  />,
                ],
                ['Device', <DeviceName key="d" id={command.agent_id} />],
                [
                  'Kind',
                  `${scriptName(command) ?? typeName(command.command_type)}${command.elevated ? ' · elevated' : ''}`,
                ],
                ['Given', <Time key="g" at={command.created_at} />],
                ['Sent', <Time key="t" at={command.sent_at} none="not yet" />],
                ['Took', command.duration_ms ? duration(command.duration_ms / 1000) : '–'],
                ...(command.job_id
                  ? ([
                      [
                        'Job',
                        <Link key="j" to="/jobs/$jobId" params={{ jobId: command.job_id }}>
                          Show the job
                        </Link>,
                      ],
                    ] as [string, React.ReactNode][])
                  : []),
              ]}
            />
          </Card>
          <Card title="Command">
            <pre className="output">{output(command.command)}</pre>
          </Card>
          <Output title="Output" text={command.stdout} running={command.status === 'running'} />
          {command.stderr && <Output title="Errors" text={command.stderr} />}
        </>
      )}
    </Page>
  )
}

function Output({
  title,
  text,
  running,
}: {
  title: string
  text?: string | null
  running?: boolean
}) {
  const save = () => {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([text ?? ''], { type: 'text/plain' }))
    link.download = `${plain(title)}.txt`
    link.click()
    URL.revokeObjectURL(link.href)
  }
  return (
    <Card
      title={title}
      actions={
        text && (
          <Button variant="subtle" onClick={save}>
            Save
          </Button>
        )
      }
    >
      {text ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable
        <pre className="output" tabIndex={0}>
          {output(text)}
        </pre>
      ) : (
        <Group gap="xs">
          <Text c="dimmed">
            {running ? 'Nothing yet; it is shown as it comes.' : 'Nothing was written.'}
          </Text>
        </Group>
      )}
    </Card>
  )
}
