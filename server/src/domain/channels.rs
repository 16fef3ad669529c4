//! The channels of one session and who watches them: windows towards the agent, replay, and what
//! each viewer has still to get.
//!
//! ```text
//!   agent ──output──▶ ReceiveWindow ─▶ Replay ──as credit allows──▶ each viewer
//!         ◀──grant── the slowest viewer has been sent it (or nobody watches)
//! ```
//!
//! Pure: every call answers with the [`Delivery`]s and [`Grant`]s that the session's actor sends.

use std::collections::BTreeMap;

use gururmm_shared::flow::{FlowError, ReceiveWindow, Received};
use gururmm_shared::{
    AuditId, ChannelId, ChannelOpened, ChannelState, ChannelSummary, CommandId, EndReason,
    OutputGap, StreamMessage, TerminalOutput, TunnelData, TunnelError, TunnelPayload,
};

use super::replay::Replay;

/// Bytes on the way to one viewer at most.
pub const VIEWER_CREDIT_BYTES: u64 = 256 * 1024;

/// Channels that a session remembers; the oldest ended ones are forgotten first.
pub const REMEMBERED_CHANNELS: usize = 64;

/// Bytes of output that all channels of a session keep together.
pub const REMEMBERED_BYTES: u64 = 16 * 1024 * 1024;

/// A viewer's number within its session.
pub type ViewerNumber = u64;

/// A message for one viewer, with the credit it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Who gets it.
    pub viewer: ViewerNumber,
    /// What.
    pub message: StreamMessage,
    /// Bytes to be given back when the viewer's socket has taken it.
    pub bytes: u64,
}

/// More window for the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// In which channel.
    pub channel_id: ChannelId,
    /// Up to which offset.
    pub limit: u64,
}

/// What a step asks for.
#[derive(Debug, Default, PartialEq)]
pub struct Outgoing {
    /// To viewers, in order.
    pub deliveries: Vec<Delivery>,
    /// To the agent.
    pub grants: Vec<Grant>,
}

/// A command whose end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The row of its audit.
    pub audit_id: AuditId,
    /// As the audit writes it.
    pub outcome: &'static str,
    /// Its exit code.
    pub exit_code: Option<i32>,
}

/// Why output cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// No such channel, or it has ended.
    #[error("there is no running channel of that name")]
    UnknownChannel,
    /// The window was not kept.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

struct Channel {
    number: u64,
    command_id: CommandId,
    audit_id: AuditId,
    command: String,
    window: Option<ReceiveWindow>,
    replay: Replay,
    state: ChannelState,
}

impl Channel {
    fn is_running(&self) -> bool {
        self.state == ChannelState::Running
    }
}

#[derive(Default)]
struct Cursor {
    offset: u64,
    told_end: bool,
}

struct Viewer {
    in_flight: u64,
    from: u64,
    cursors: BTreeMap<ChannelId, Cursor>,
}

/// All channels and viewers of a session.
pub struct Channels {
    replay_bytes: u64,
    window_bytes: u64,
    made: u64,
    channels: BTreeMap<ChannelId, Channel>,
    viewers: BTreeMap<ViewerNumber, Viewer>,
}

/// A command that is to get a channel.
#[derive(Debug, Clone)]
pub struct NewChannel {
    /// Its name.
    pub channel_id: ChannelId,
    /// Its command.
    pub command_id: CommandId,
    /// The row of its audit.
    pub audit_id: AuditId,
    /// The command line.
    pub command: String,
    /// Whether the agent keeps windows.
    pub flow_controlled: bool,
}

impl Channels {
    /// No channels yet; each will keep `replay_bytes` and may have `window_bytes` on the way.
    #[must_use]
    pub fn new(replay_bytes: u64, window_bytes: u64) -> Self {
        Self {
            replay_bytes,
            window_bytes,
            made: 0,
            channels: BTreeMap::new(),
            viewers: BTreeMap::new(),
        }
    }

    /// Commands that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.channels
            .values()
            .filter(|channel| channel.is_running())
            .count()
    }

    /// Viewers that watch.
    #[must_use]
    pub fn viewers(&self) -> usize {
        self.viewers.len()
    }

    /// Whether a command runs in this channel.
    #[must_use]
    pub fn is_running(&self, channel_id: &ChannelId) -> bool {
        self.channels
            .get(channel_id)
            .is_some_and(Channel::is_running)
    }

    /// The channels, oldest first.
    #[must_use]
    pub fn summaries(&self) -> Vec<ChannelSummary> {
        let mut channels: Vec<_> = self.channels.iter().collect();
        channels.sort_by_key(|(_, channel)| channel.number);
        let summary = |(id, channel): (&ChannelId, &Channel)| ChannelSummary {
            channel_id: id.clone(),
            command_id: channel.command_id,
            command: channel.command.clone(),
            state: channel.state.clone(),
            first_offset: channel.replay.first(),
            next_offset: channel.replay.next(),
        };
        channels.into_iter().map(summary).collect()
    }

    /// Adds the channel of a command that is about to be sent.
    pub fn start(&mut self, new: NewChannel) -> Outgoing {
        self.made += 1;
        let opened_bytes = new.command.len() as u64;
        let opened = StreamMessage::ChannelOpened(ChannelOpened {
            channel_id: new.channel_id.clone(),
            command_id: new.command_id,
            command: new.command.clone(),
        });
        let window = new
            .flow_controlled
            .then(|| ReceiveWindow::new(self.window_bytes));
        self.channels.insert(
            new.channel_id.clone(),
            Channel {
                number: self.made,
                command_id: new.command_id,
                audit_id: new.audit_id,
                command: new.command,
                window,
                replay: Replay::default(),
                state: ChannelState::Running,
            },
        );
        self.forget_oldest();
        let mut outgoing = Outgoing::default();
        for (&number, viewer) in &mut self.viewers {
            viewer
                .cursors
                .insert(new.channel_id.clone(), Cursor::default());
            viewer.in_flight += opened_bytes;
            outgoing.deliveries.push(Delivery {
                viewer: number,
                message: opened.clone(),
                bytes: opened_bytes,
            });
        }
        outgoing
    }

    /// Takes output from the agent; the second part is set when it was the last of its channel.
    ///
    /// # Errors
    /// [`OutputError`]: no such channel, a gap, or more than was granted.
    pub fn output(
        &mut self,
        channel_id: &ChannelId,
        output: TerminalOutput,
    ) -> Result<(Outgoing, Option<Ended>), OutputError> {
        let channel = self
            .channels
            .get_mut(channel_id)
            .filter(|channel| channel.is_running())
            .ok_or(OutputError::UnknownChannel)?;
        if let Some(window) = &mut channel.window {
            let offset = output.offset.unwrap_or(channel.replay.next());
            if window.receive(offset, output.len())? == Received::Repeat {
                return Ok((Outgoing::default(), None));
            }
        }
        let ended = output.is_last().then(|| {
            channel.state = ChannelState::Ended {
                exit_code: output.exit_code,
                reason: output.reason,
            };
            Ended {
                audit_id: channel.audit_id,
                outcome: outcome(output.exit_code, output.reason),
                exit_code: output.exit_code,
            }
        });
        channel.replay.push(output.stdout, output.stderr);
        Ok((self.pump(channel_id), ended))
    }

    /// Notes that a channel has failed.
    pub fn fail(&mut self, channel_id: &ChannelId, error: String) -> Option<(Outgoing, Ended)> {
        let channel = self
            .channels
            .get_mut(channel_id)
            .filter(|channel| channel.is_running())?;
        channel.state = ChannelState::Failed { error };
        let ended = Ended {
            audit_id: channel.audit_id,
            outcome: "failed",
            exit_code: None,
        };
        Some((self.pump(channel_id), ended))
    }

    /// Ends what still runs, because the session ends.
    pub fn end_all(&mut self, outcome: &'static str) -> (Outgoing, Vec<Ended>) {
        let running: Vec<ChannelId> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.is_running())
            .map(|(id, _)| id.clone())
            .collect();
        let mut outgoing = Outgoing::default();
        let mut ended = Vec::with_capacity(running.len());
        for id in running {
            if let Some((out, mut end)) = self.fail(&id, format!("the session ended: {outcome}")) {
                end.outcome = outcome;
                outgoing.deliveries.extend(out.deliveries);
                ended.push(end);
            }
        }
        (outgoing, ended)
    }

    /// Lets a viewer watch from `from` on (in every channel); what is kept follows at once. `owed`
    /// bytes are on the way to it already.
    pub fn attach(&mut self, viewer: ViewerNumber, from: u64, owed: u64) -> Outgoing {
        let cursors = self.channels.keys().map(|id| {
            (
                id.clone(),
                Cursor {
                    offset: from,
                    told_end: false,
                },
            )
        });
        let cursors = cursors.collect();
        self.viewers.insert(
            viewer,
            Viewer {
                in_flight: owed,
                from,
                cursors,
            },
        );
        self.pump_all()
    }

    /// Lets a viewer go; whoever waited for it waits no more.
    pub fn detach(&mut self, viewer: ViewerNumber) -> Outgoing {
        self.viewers.remove(&viewer);
        self.pump_all()
    }

    /// Gives a viewer back the credit of what its socket has taken.
    pub fn consumed(&mut self, viewer: ViewerNumber, bytes: u64) -> Outgoing {
        match self.viewers.get_mut(&viewer) {
            Some(watching) => watching.in_flight = watching.in_flight.saturating_sub(bytes),
            None => return Outgoing::default(),
        }
        self.pump_all()
    }

    /// Viewers that have something on the way.
    pub fn waiting_viewers(&self) -> impl Iterator<Item = ViewerNumber> + '_ {
        self.viewers
            .iter()
            .filter(|(_, viewer)| viewer.in_flight > 0)
            .map(|(&number, _)| number)
    }

    fn pump_all(&mut self) -> Outgoing {
        let mut outgoing = Outgoing::default();
        let ids: Vec<ChannelId> = self.channels.keys().cloned().collect();
        for id in ids {
            let step = self.pump(&id);
            outgoing.deliveries.extend(step.deliveries);
            outgoing.grants.extend(step.grants);
        }
        outgoing
    }

    /// Sends each viewer what its credit allows, then lets the window and the replay follow.
    fn pump(&mut self, channel_id: &ChannelId) -> Outgoing {
        let mut outgoing = Outgoing::default();
        let Some(channel) = self.channels.get_mut(channel_id) else {
            return outgoing;
        };
        let mut slowest = channel.replay.next();
        for (&number, viewer) in &mut self.viewers {
            let cursor = viewer.cursors.entry(channel_id.clone()).or_insert(Cursor {
                offset: viewer.from,
                told_end: false,
            });
            let room = VIEWER_CREDIT_BYTES.saturating_sub(viewer.in_flight);
            let sent = fill(
                number,
                channel_id,
                channel,
                cursor,
                room,
                &mut outgoing.deliveries,
            );
            viewer.in_flight += sent;
            slowest = slowest.min(cursor.offset);
        }
        if channel.is_running()
            && let Some(limit) = channel
                .window
                .as_mut()
                .and_then(|window| window.consume(slowest))
        {
            outgoing.grants.push(Grant {
                channel_id: channel_id.clone(),
                limit,
            });
        }
        let cap = self.replay_bytes + self.window_bytes;
        let keep_from = channel
            .replay
            .next()
            .saturating_sub(self.replay_bytes)
            .min(slowest);
        let must_drop = channel.replay.next().saturating_sub(cap);
        channel.replay.forget_before(keep_from.max(must_drop));
        outgoing
    }

    fn forget_oldest(&mut self) {
        let kept = |channels: &BTreeMap<ChannelId, Channel>| {
            channels
                .values()
                .map(|channel| channel.replay.kept())
                .sum::<u64>()
        };
        while self.channels.len() > REMEMBERED_CHANNELS || kept(&self.channels) > REMEMBERED_BYTES {
            let oldest = self
                .channels
                .iter()
                .filter(|(_, channel)| !channel.is_running())
                .min_by_key(|(_, channel)| channel.number)
                .map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { return };
            self.channels.remove(&oldest);
            for viewer in self.viewers.values_mut() {
                viewer.cursors.remove(&oldest);
            }
        }
    }
}

/// Sends one viewer what is new in one channel, at most `room` bytes of it; answers the bytes.
fn fill(
    viewer: ViewerNumber,
    channel_id: &ChannelId,
    channel: &Channel,
    cursor: &mut Cursor,
    room: u64,
    deliveries: &mut Vec<Delivery>,
) -> u64 {
    let mut send = |message, bytes| {
        deliveries.push(Delivery {
            viewer,
            message,
            bytes,
        })
    };
    let mut sent = 0;
    // Only to a viewer that takes something: one gap then stands for all that was missed.
    if room > 0 && cursor.offset < channel.replay.first() {
        let gap = OutputGap {
            channel_id: channel_id.clone(),
            from: cursor.offset,
            to: channel.replay.first(),
        };
        send(StreamMessage::OutputGap(gap), 0);
        cursor.offset = channel.replay.first();
    }
    while sent < room
        && let Some(piece) = channel.replay.at(cursor.offset)
    {
        let piece = piece.since(cursor.offset);
        let bytes = piece.end() - piece.offset;
        send(data(channel_id, piece.to_output()), bytes);
        cursor.offset = piece.end();
        sent += bytes;
    }
    if cursor.offset >= channel.replay.next() && !cursor.told_end {
        match &channel.state {
            ChannelState::Running => {}
            ChannelState::Ended { exit_code, reason } => {
                let last = TerminalOutput {
                    exit_code: *exit_code,
                    reason: *reason,
                    offset: Some(channel.replay.next()),
                    ..TerminalOutput::default()
                };
                send(data(channel_id, last), 0);
                cursor.told_end = true;
            }
            ChannelState::Failed { error } => {
                let error = TunnelError {
                    channel_id: channel_id.clone(),
                    error: error.clone(),
                };
                send(StreamMessage::TunnelError(error), 0);
                cursor.told_end = true;
            }
        }
    }
    sent
}

fn data(channel_id: &ChannelId, output: TerminalOutput) -> StreamMessage {
    StreamMessage::TunnelData(TunnelData {
        channel_id: channel_id.clone(),
        data: TunnelPayload::TerminalOutput(output),
    })
}

fn outcome(exit_code: Option<i32>, reason: Option<EndReason>) -> &'static str {
    match (reason, exit_code) {
        (Some(EndReason::TimedOut), _) => "timed_out",
        (Some(EndReason::Cancelled), _) => "cancelled",
        (None, Some(0)) => "completed",
        _ => "failed",
    }
}

#[cfg(test)]
#[path = "channels_tests.rs"]
mod tests;
