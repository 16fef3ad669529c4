import { Button, FileButton, Group, Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useMemo, useState } from 'react'
import { api, body } from '~/api/client'
import { keys } from '~/api/queries'
import { openTerminal } from '~/terminal/tabs/dock-store'
import { Empty } from '~/ui/empty'
import { ErrorNote } from '~/ui/error-note'
import { Icon } from '~/ui/icons'
import classes from './browse/browse.module.css'
import { askToDelete, attempt, download } from './browse/file-acts'
import type { FileActs } from './browse/file-row'
import { FileTable } from './browse/file-table'
import { NameDialog } from './browse/name-dialog'
import { PlaceBar } from './browse/place-bar'
import { useListing, useRefresh } from './browse/use-listing'
import { TextEditor } from './edit/text-editor'
import { join, startOf, styleOf } from './file-path'
import { type FileInfo, type Machine, machineOf } from './machine'
import type { Dropped } from './transfers/dropped'
import { TransferList } from './transfers/transfer-list'
import { addUpload } from './transfers/uploads'
import { useDrop } from './use-drop'

export interface FilesPanelProps {
  agentId: string
  /** A session that is there; missing means the caller's own, opened when it is needed. */
  sessionId?: string
  /** The folder that is shown, where whoever embeds it keeps it (as in the page's address). */
  path?: string
  onPath?: (path: string) => void
}

export default function FilesPanel({ agentId, sessionId, path, onPath }: FilesPanelProps) {
  const machine = useMemo(() => machineOf(agentId, sessionId), [agentId, sessionId])
  useEffect(() => machine.use(), [machine])
  const agent = useQuery({
    queryKey: keys.agent(agentId),
    queryFn: () => body(api.GET('/api/agents/{id}', { params: { path: { id: agentId } } })),
  })
  const [own, setOwn] = useState<string>()
  const shown = path ?? own ?? (agent.data && startOf(agent.data.os.family))
  if (agent.error) return <ErrorNote error={agent.error} />
  if (!shown || !agent.data) return <Skeleton height={320} m="sm" />
  return (
    <Folder
      machine={machine}
      agentName={agent.data.hostname}
      path={shown}
      onPath={next => {
        setOwn(next)
        onPath?.(next)
      }}
    />
  )
}

interface FolderProps {
  machine: Machine
  agentName: string
  path: string
  onPath: (path: string) => void
}

type Asking =
  | { what: 'folder' }
  | { what: 'rename'; file: FileInfo }
  | { what: 'edit'; path: string }

function Folder({ machine, agentName, path, onPath }: FolderProps) {
  const listing = useListing(machine, path)
  const refresh = useRefresh(machine)
  const [asking, setAsking] = useState<Asking>()
  const again = () => refresh(path)
  const send = (files: { file: File; folder: string[] }[]) => {
    for (const { file, folder } of files) {
      const target = [...folder, file.name].reduce(join, path)
      addUpload({ machine, file, path: target, onDone: again })
    }
  }
  const onDropped = ({ folders, files }: Dropped) =>
    attempt('The folders could not be made', async () => {
      for (const folder of folders) {
        await machine.post('files/mkdir', { path: folder.reduce(join, path), parents: true })
      }
      if (folders.length > 0) again()
      send(files)
    })
  const { over, handlers } = useDrop(dropped => void onDropped(dropped))
  const of = (file: FileInfo) => join(path, file.name)
  const acts: FileActs = {
    open: file => onPath(of(file)),
    download: file =>
      void attempt('It cannot be downloaded', () =>
        download(machine, of(file), file.kind === 'directory'),
      ),
    edit: file => setAsking({ what: 'edit', path: of(file) }),
    rename: file => setAsking({ what: 'rename', file }),
    remove: file => askToDelete(machine, of(file), file, again),
    terminal: file => openTerminal(machine.agentId, { agentName, workingDirectory: of(file) }),
  }
  return (
    <section className={classes.panel} aria-label="Files" {...handlers}>
      <Group gap="xs" wrap="nowrap">
        <PlaceBar path={path} onPath={onPath} />
        <Tools
          onFiles={files => send(files.map(file => ({ file, folder: [] })))}
          onFolder={() => setAsking({ what: 'folder' })}
          onRefresh={again}
          busy={listing.isFetching}
        />
      </Group>
      <Listing listing={listing} acts={acts} />
      <TransferList />
      {over && <div className={classes.drop}>Drop to send it here</div>}
      {asking && (
        <Dialogs
          asking={asking}
          machine={machine}
          path={path}
          onClose={() => setAsking(undefined)}
          onDone={again}
        />
      )}
    </section>
  )
}

function Tools({
  onFiles,
  onFolder,
  onRefresh,
  busy,
}: {
  onFiles: (files: File[]) => void
  onFolder: () => void
  onRefresh: () => void
  busy: boolean
}) {
  return (
    <>
      <FileButton onChange={onFiles} multiple>
        {props => (
          <Button {...props} variant="default">
            Upload
          </Button>
        )}
      </FileButton>
      <Button variant="default" onClick={onFolder}>
        New folder
      </Button>
      <Button
        variant="default"
        onClick={onRefresh}
        loading={busy}
        leftSection={<Icon name="refresh" />}
      >
        Refresh
      </Button>
    </>
  )
}

function Listing({ listing, acts }: { listing: ReturnType<typeof useListing>; acts: FileActs }) {
  if (listing.error) {
    return (
      <ErrorNote
        error={listing.error}
        title="This folder cannot be shown"
        retry={() => void listing.refetch()}
      />
    )
  }
  if (listing.isPending) {
    return (
      <Stack gap={10} aria-label="Loading the folder">
        {[260, 420, 340, 380, 300].map(width => (
          <Skeleton key={width} height={14} width={width} />
        ))}
      </Stack>
    )
  }
  if (listing.items.length === 0) {
    return <Empty title="This folder is empty" text="Drop files here to send them." />
  }
  return (
    <>
      <FileTable items={listing.items} acts={acts} />
      {listing.hasNextPage && (
        <Group gap="xs">
          <Button
            variant="default"
            onClick={() => void listing.fetchNextPage()}
            loading={listing.isFetchingNextPage}
          >
            Show more
          </Button>
          <Text size="xs" c="dimmed">
            {listing.items.length} are shown; sorting concerns these.
          </Text>
        </Group>
      )}
    </>
  )
}

function Dialogs({
  asking,
  machine,
  path,
  onClose,
  onDone,
}: {
  asking: Asking
  machine: Machine
  path: string
  onClose: () => void
  onDone: () => void
}) {
  const style = styleOf(path)
  if (asking.what === 'edit') {
    return <TextEditor machine={machine} path={asking.path} onClose={onClose} onSaved={onDone} />
  }
  if (asking.what === 'folder') {
    const make = async (name: string) => {
      await machine.post('files/mkdir', { path: join(path, name) })
      onDone()
    }
    return (
      <NameDialog title="New folder" verb="Make" initial="" {...{ style, onClose }} act={make} />
    )
  }
  const { name } = asking.file
  const rename = async (next: string) => {
    await machine.post('files/rename', { from: join(path, name), to: join(path, next) })
    onDone()
  }
  return (
    <NameDialog title="Rename" verb="Rename" initial={name} {...{ style, onClose }} act={rename} />
  )
}
