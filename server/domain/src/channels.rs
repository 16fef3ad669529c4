//! The channels of one session: windows towards the agent, replay, and how each ended.
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
    AuditId, ChannelId, ChannelOpened, ChannelState, ChannelSummary, CommandId, EndReason, Feature,
    StreamMessage, TerminalOutput,
};

use super::replay::Replay;
use super::viewers::{Delivery, ViewerNumber, Viewers};

/// Channels that a session remembers; the oldest ended ones are forgotten first.
pub const REMEMBERED_CHANNELS: usize = 64;

/// Bytes of output that all channels of a session keep together.
pub const REMEMBERED_BYTES: u64 = 16 * 1024 * 1024;

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

/// What became of a wish to end a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The agent is to be told.
    Now,
    /// The agent was told before.
    Before,
    /// There is nothing to end.
    NotRunning,
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
    cancelled: bool,
}

impl Channel {
    fn is_running(&self) -> bool {
        self.state == ChannelState::Running
    }
}

/// All channels and viewers of a session.
pub struct Channels {
    replay_bytes: u64,
    window_bytes: u64,
    made: u64,
    channels: BTreeMap<ChannelId, Channel>,
    viewers: Viewers,
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
            viewers: Viewers::default(),
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

    /// Notes that a viewer wants a command to end.
    pub fn cancel(&mut self, channel_id: &ChannelId) -> Cancelled {
        match self.channels.get_mut(channel_id) {
            Some(channel) if channel.is_running() => {
                if std::mem::replace(&mut channel.cancelled, true) {
                    Cancelled::Before
                } else {
                    Cancelled::Now
                }
            }
            _ => Cancelled::NotRunning,
        }
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
            feature: Feature::Commands,
            stream: None,
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
                cancelled: false,
            },
        );
        self.forget_oldest();
        Outgoing {
            deliveries: self
                .viewers
                .announce(&new.channel_id, &opened, opened_bytes),
            grants: Vec::new(),
        }
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
        self.viewers.attach(viewer, from, owed);
        self.pump_all()
    }

    /// Lets a viewer go; whoever waited for it waits no more.
    pub fn detach(&mut self, viewer: ViewerNumber) -> Outgoing {
        self.viewers.detach(viewer);
        self.pump_all()
    }

    /// Gives a viewer back the credit of what its socket has taken.
    pub fn consumed(&mut self, viewer: ViewerNumber, bytes: u64) -> Outgoing {
        if !self.viewers.consumed(viewer, bytes) {
            return Outgoing::default();
        }
        self.pump_all()
    }

    /// Viewers that have something on the way.
    pub fn waiting_viewers(&self) -> impl Iterator<Item = ViewerNumber> + '_ {
        self.viewers.waiting()
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
        let (deliveries, slowest) = self
            .viewers
            .feed(channel_id, &channel.replay, &channel.state);
        outgoing.deliveries = deliveries;
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
            self.viewers.forget(&oldest);
        }
    }
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
