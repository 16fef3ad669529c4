//! The session that the agent is in: its rules and its channels.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use gururmm_shared::{
    ChannelId, ChannelKind, ConsentOutcome, SessionId, StreamId, StreamPosition, TunnelOpen,
    TunnelRules, UserId,
};

use super::step::Effect;

/// Names of ended channels that a session remembers, so that a repeated order is run at most once.
pub(super) const REMEMBERED_CHANNELS: usize = 4096;

/// The longest grace; a server that asks for more gets this.
const LONGEST_GRACE_SECONDS: u32 = 3600;

/// What runs in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// A command whose output goes as text.
    Command,
    /// A pseudo-terminal.
    Terminal(StreamId),
    /// Another stream of bytes.
    Stream(StreamId),
    /// Something with one answer.
    Request,
}

impl Running {
    pub(super) fn of(kind: &ChannelKind, stream: StreamId) -> Self {
        match kind {
            ChannelKind::Terminal(_) => Self::Terminal(stream),
            _ => Self::Stream(stream),
        }
    }

    fn stream(self) -> Option<StreamId> {
        match self {
            Self::Terminal(stream) | Self::Stream(stream) => Some(stream),
            Self::Command | Self::Request => None,
        }
    }

    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Self::Terminal(_))
    }
}

/// The session that the agent is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    pub(super) session: SessionId,
    pub(super) tech: UserId,
    pub(super) rules: Arc<TunnelRules>,
    /// Seconds; 0 where nothing outlives the connection.
    pub(super) grace: u32,
    pub(super) running: BTreeMap<ChannelId, Running>,
    pub(super) ended: VecDeque<ChannelId>,
    /// What who sits at the machine said.
    pub(super) consent: Option<ConsentOutcome>,
}

impl Tunnel {
    pub(super) fn new(open: &TunnelOpen, consent: Option<ConsentOutcome>) -> Self {
        let grace = open.resume_grace_seconds.unwrap_or(0);
        Self {
            session: open.session_id,
            tech: open.tech_id,
            rules: Arc::new(open.rules.clone().unwrap_or_default()),
            grace: grace.min(LONGEST_GRACE_SECONDS),
            running: BTreeMap::new(),
            ended: VecDeque::new(),
            consent,
        }
    }

    pub(super) fn knows(&self, channel: &ChannelId) -> bool {
        self.running.contains_key(channel) || self.ended.contains(channel)
    }

    pub(super) fn commands(&self) -> usize {
        let commands = self.running.values();
        commands
            .filter(|running| **running == Running::Command)
            .count()
    }

    pub(super) fn has_stream(&self, stream: StreamId) -> bool {
        let mut running = self.running.values();
        running.any(|running| running.stream() == Some(stream))
    }

    pub(super) fn is_terminal(&self, channel: &ChannelId) -> bool {
        let running = self.running.get(channel);
        running.is_some_and(|running| running.is_terminal())
    }

    pub(super) fn remember_ended(&mut self, channel: ChannelId) {
        if self.ended.len() == REMEMBERED_CHANNELS {
            self.ended.pop_front();
        }
        self.ended.push_back(channel);
    }

    pub(super) fn channel_ended(&mut self, channel: ChannelId) {
        if self.running.remove(&channel).is_some() {
            self.remember_ended(channel);
        }
    }

    /// The connection is lost and the session is not: all but the terminals ends. Names are the
    /// connection's, so those of ended channels may come again over the next one.
    pub(super) fn suspend(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.running.retain(|channel, running| {
            if !running.is_terminal() {
                effects.push(Effect::Drop(channel.clone()));
            }
            running.is_terminal()
        });
        self.ended.clear();
        effects.push(Effect::Suspend(self.grace));
        effects
    }

    /// The server goes on with these streams, and with no other.
    pub(super) fn resume(&mut self, positions: &[StreamPosition]) -> Vec<Effect> {
        let mut resumed = Vec::new();
        let mut dropped = Vec::new();
        for (channel, running) in &self.running {
            let wanted = positions
                .iter()
                .find(|position| Some(position.stream) == running.stream());
            match wanted {
                Some(position) => resumed.push((channel.clone(), *position)),
                None => dropped.push(channel.clone()),
            }
        }
        self.running.retain(|channel, _| !dropped.contains(channel));
        let dropped = dropped.into_iter().map(Effect::Drop);
        dropped.chain([Effect::Resume(resumed)]).collect()
    }
}
