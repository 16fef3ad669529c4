import { ActionIcon, Menu, UnstyledButton } from '@mantine/core'
import { Icon } from '~/ui/icons'
import { Time } from '~/ui/time'
import { Untrusted } from '~/ui/untrusted'
import { bytes } from '~/util/format'
import { MOST_BYTES } from '../edit/text-file'
import type { FileInfo } from '../machine'
import { visible } from '../visible-name'
import classes from './browse.module.css'
import { VisibleName } from './visible-text'

export interface FileActs {
  open(file: FileInfo): void
  download(file: FileInfo): void
  edit(file: FileInfo): void
  rename(file: FileInfo): void
  remove(file: FileInfo): void
  terminal(file: FileInfo): void
}

/** One file: what it is, and what may be done to it. */
export function FileRow({ file, acts }: { file: FileInfo; acts: FileActs }) {
  const isFolder = file.kind === 'directory'
  const opens = (isFolder || file.kind === 'link') && !file.unnameable
  return (
    <tr>
      <td>
        <div className={classes.file}>
          {isFolder ? <FolderIcon /> : <Icon name="file" className={classes.dim} />}
          {opens ? (
            <UnstyledButton className={classes.open} onClick={() => acts.open(file)}>
              <VisibleName name={file.name} />
            </UnstyledButton>
          ) : (
            <VisibleName name={file.name} />
          )}
          {file.link_target && (
            <span className={classes.dim}>
              → <Untrusted text={file.link_target} longest={80} />
            </span>
          )}
        </div>
      </td>
      <td className={classes.number}>{isFolder ? '–' : bytes(file.size)}</td>
      <td>{file.modified ? <Time at={file.modified} /> : '–'}</td>
      <td className={`${classes.wide} ${classes.dim}`}>{modeOf(file.mode)}</td>
      <td className={`${classes.wide} ${classes.dim}`}>
        <Untrusted text={file.owner} longest={32} />
      </td>
      <td className={classes.number}>
        {file.unnameable ? (
          <span className={classes.dim} title="Its name is no UTF-8, so it cannot be named here">
            no UTF-8
          </span>
        ) : (
          <FileMenu file={file} acts={acts} />
        )}
      </td>
    </tr>
  )
}

/** In the manner of ~/ui/icons. */
function FolderIcon() {
  return (
    <svg
      aria-hidden="true"
      className={classes.folder}
      width={16}
      height={16}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.75}
      strokeLinejoin="round"
    >
      <path d="M3 6h6l2 3h10v10H3V6Z" />
    </svg>
  )
}

function FileMenu({ file, acts }: { file: FileInfo; acts: FileActs }) {
  const isFolder = file.kind === 'directory'
  const isFile = file.kind === 'file'
  return (
    <Menu width={200}>
      <Menu.Target>
        <ActionIcon aria-label={`Actions for ${visible(file.name)}`}>
          <Icon name="dots" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {(isFile || isFolder) && (
          <Menu.Item leftSection={<Icon name="download" />} onClick={() => acts.download(file)}>
            {isFolder ? 'Download as archive' : 'Download'}
          </Menu.Item>
        )}
        {isFile && file.size <= MOST_BYTES && (
          <Menu.Item leftSection={<Icon name="script" />} onClick={() => acts.edit(file)}>
            Edit
          </Menu.Item>
        )}
        {isFolder && (
          <Menu.Item leftSection={<Icon name="terminal" />} onClick={() => acts.terminal(file)}>
            Terminal here
          </Menu.Item>
        )}
        <Menu.Item leftSection={<Icon name="copy" />} onClick={() => acts.rename(file)}>
          Rename
        </Menu.Item>
        <Menu.Item
          color="red"
          leftSection={<Icon name="trash" />}
          onClick={() => acts.remove(file)}
        >
          Delete
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}

/** Permission bits as people write them. */
function modeOf(mode: number | null | undefined): string {
  if (mode === null || mode === undefined) return ''
  return (mode & 0o7777).toString(8).padStart(3, '0')
}
