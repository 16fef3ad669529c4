/** Who watches a session and what runs in it, as the server last said. */

import type {
  ChannelSummary,
  Consent,
  TerminalClosed,
  TerminalOpened,
  ViewerInfo,
} from '../wire/message'

export interface SessionView {
  viewers: ViewerInfo[]
  /** This viewer's number. */
  viewer: number | undefined
  readOnly: boolean
  channels: ChannelSummary[]
  /** What the person at the machine said, where they were asked or told. */
  consent: Consent | undefined
  /** What the server refused last. */
  refusal: string | undefined
}

export const NOTHING_SEEN: SessionView = {
  viewers: [],
  viewer: undefined,
  readOnly: false,
  channels: [],
  consent: undefined,
  refusal: undefined,
}

export function runningTerminals(view: SessionView): ChannelSummary[] {
  return view.channels.filter(
    channel => channel.feature === 'terminal' && channel.state.state === 'running',
  )
}

/** Others than this viewer. */
export function otherViewers(view: SessionView): ViewerInfo[] {
  return view.viewers.filter(one => one.viewer !== view.viewer)
}

export function withOpened(channels: ChannelSummary[], opened: TerminalOpened): ChannelSummary[] {
  if (channels.some(channel => channel.channel_id === opened.channel_id)) return channels
  const summary: ChannelSummary = {
    channel_id: opened.channel_id,
    command: opened.program,
    state: { state: 'running' },
    next_offset: opened.offset,
    feature: 'terminal',
  }
  return [...channels, summary]
}

export function withClosed(channels: ChannelSummary[], closed: TerminalClosed): ChannelSummary[] {
  return channels.map(channel =>
    channel.channel_id === closed.channel_id ? { ...channel, state: { state: 'ended' } } : channel,
  )
}
