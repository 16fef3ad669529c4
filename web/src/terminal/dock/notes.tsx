import { Button, Text, Tooltip } from '@mantine/core'
import { type ReactNode, useEffect, useState } from 'react'
import { Untrusted } from '~/ui/untrusted'
import { createStore, useStore } from '~/util/store'
import { closeReason, type LinkState } from '../session/link-state'
import { NOTHING_SEEN, otherViewers, type SessionView } from '../session/session-view'
import type { TerminalChannel, TerminalEnd } from '../session/terminal-channel'
import type { ViewerLink } from '../session/viewer-link'
import { remove } from '../tabs/dock-store'
import type { TabInfo } from '../tabs/layout'
import classes from './dock.module.css'
import { endOf } from './end-text'
import { NO_CHANNEL } from './no-channel'
import type { TerminalTab } from './terminal-tab'
import { useAskedSeconds, useConsentNote } from './use-consent-note'
import { useLinkState } from './use-tab-health'

/** A connection that comes back sooner than this is not worth a word. */
const QUIET_MS = 400
/** A session that opens sooner than this asks nobody. */
const ASKING_MS = 1500

const UNSEEN = createStore<SessionView>(NOTHING_SEEN)
/** What there is to say about a terminal, most urgent first. */
export function Notes({ info, tab }: { info: TabInfo; tab: TerminalTab }) {
  const { phase, link, channel } = useStore(tab.state)
  const line = useLinkState(link)
  const view = useStore(link?.view ?? UNSEEN)
  const { ended } = useStore(channel?.state ?? NO_CHANNEL)
  const consent = useConsentNote(info.agentId, view)
  const over = line.state === 'closed' || line.state === 'failed'
  return (
    <div aria-live="polite">
      {phase === 'open' && link && !over && (
        <div className={classes.over}>
          <LineNote link={link} line={line} />
        </div>
      )}
      {(phase === 'ended' || (phase === 'open' && over)) && (
        <EndNote info={info} tab={tab} line={line} ended={ended} />
      )}
      {phase === 'open' && channel && !over && (
        <SizeNote info={info} tab={tab} channel={channel} view={view} />
      )}
      {phase === 'opening' && !link && <AskingNote agentId={info.agentId} />}
      {phase === 'open' && consent && <Note tone={consent.tone}>{consent.text}</Note>}
      {view.refusal && link && (
        <Note
          tone="warn"
          action={
            <Button variant="default" onClick={() => link.forgetRefusal()}>
              Dismiss
            </Button>
          }
        >
          The server refused: <Untrusted text={view.refusal} />
        </Note>
      )}
    </div>
  )
}

function Note({
  tone,
  children,
  action,
}: {
  tone: 'info' | 'warn' | 'bad'
  children: ReactNode
  action?: ReactNode
}) {
  return (
    <div className={classes.note} data-tone={tone}>
      <Text size="sm" className={classes.noteText}>
        {children}
      </Text>
      {action}
    </div>
  )
}

/** A session that takes long to open waits for somebody. */
function AskingNote({ agentId }: { agentId: string }) {
  const seconds = useAskedSeconds(agentId)
  const [late, setLate] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), ASKING_MS)
    return () => clearTimeout(timer)
  }, [])
  if (!late || !seconds) return null
  return (
    <Note tone="info">
      The person at the machine is being asked and has up to {seconds} s to answer.
    </Note>
  )
}

function LineNote({ link, line }: { link: ViewerLink; line: LinkState }) {
  const lost = line.state === 'reconnecting' || line.state === 'suspended'
  const [late, setLate] = useState(false)
  useEffect(() => {
    setLate(false)
    if (!lost) return
    const timer = setTimeout(() => setLate(true), QUIET_MS)
    return () => clearTimeout(timer)
  }, [lost])
  if (!late) return null
  if (line.state === 'suspended') {
    return (
      <Note tone="warn">
        The device lost its connection. Its programs run on and it is waited for up to{' '}
        {line.graceSeconds} s; nothing is lost.
      </Note>
    )
  }
  if (line.state !== 'reconnecting') return null
  return (
    <Note
      tone="warn"
      action={
        <Button variant="default" onClick={() => link.retryNow()}>
          Try now
        </Button>
      }
    >
      Reconnecting… nothing lost. {sentence(line.why)} What you type arrives when it is back.
    </Note>
  )
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

interface EndProps {
  info: TabInfo
  tab: TerminalTab
  line: LinkState
  ended: TerminalEnd | undefined
}

function EndNote({ info, tab, line, ended }: EndProps) {
  const why =
    line.state === 'closed'
      ? closeReason(line.reason)
      : line.state === 'failed'
        ? sentence(line.why)
        : endOf(ended)
  const cutOff = ended?.kind === 'cut_off' && line.state === 'connected'
  return (
    <Note
      tone={cutOff || line.state === 'failed' ? 'bad' : 'info'}
      action={
        <>
          {cutOff && (
            <Button variant="default" onClick={() => tab.reattach()}>
              Show it again
            </Button>
          )}
          {!info.readOnly && (
            <Button variant="default" onClick={() => tab.again()}>
              New shell
            </Button>
          )}
          <Button variant="default" onClick={() => remove(info.key)}>
            Close
          </Button>
        </>
      }
    >
      <Untrusted text={why} />
    </Note>
  )
}

interface SizeProps {
  info: TabInfo
  tab: TerminalTab
  channel: TerminalChannel
  view: SessionView
}

/** Why the terminal is not as large as its pane, or takes no keys. */
function SizeNote({ info, tab, channel, view }: SizeProps) {
  const { holder, size } = useStore(channel.state)
  const held = otherViewers(view).find(one => one.viewer === holder)
  if (!held && !info.readOnly) return null
  return (
    <Note
      tone="info"
      action={
        held &&
        !info.readOnly && (
          <Tooltip label="Make the terminal as large as this pane, for everybody">
            <Button variant="default" onClick={() => tab.takeSize()}>
              Take the size
            </Button>
          </Tooltip>
        )
      }
    >
      {info.readOnly && 'You are watching; keys do nothing. '}
      {held && (
        <>
          <Untrusted text={held.name} longest={40} /> holds the size, {size.cols}×{size.rows}.
        </>
      )}
    </Note>
  )
}
