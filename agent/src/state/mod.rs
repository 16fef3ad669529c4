//! The agent's mode and what changes it, as a pure step: no clock, no process, no socket.
//!
//! ```text
//!                     Open
//!   Heartbeat ──────────────────────▶ Tunnel { session, tech, channels }
//!       ▲                                │ ▲  Open, same session: ready again
//!       │   Close · EntryFailed ·        │ │  Open, another session: refused, nothing else changes
//!       └── ConnectionLost · Stopping ───┘ └─ Data: a channel starts, takes a window or is cancelled
//! ```
//!
//! The caller carries the effects out in their order and reports what became of them.

mod step;

use std::collections::{HashSet, VecDeque};

use gururmm_shared::{
    AgentMessage, ChannelId, CommandType, Probe, SessionId, Terminal, TunnelClose, TunnelClosed,
    TunnelData, TunnelError, TunnelOpen, TunnelPayload, TunnelReady, UserId,
};

pub use step::{Effect, Event};

/// Names of ended channels that a session remembers, so that a repeated order is run at most once.
const REMEMBERED_CHANNELS: usize = 4096;

/// The session that the agent is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    session: SessionId,
    tech: UserId,
    running: HashSet<ChannelId>,
    ended: VecDeque<ChannelId>,
}

impl Tunnel {
    fn new(open: &TunnelOpen) -> Self {
        Self {
            session: open.session_id,
            tech: open.tech_id,
            running: HashSet::new(),
            ended: VecDeque::new(),
        }
    }

    fn knows(&self, channel: &ChannelId) -> bool {
        self.running.contains(channel) || self.ended.contains(channel)
    }

    fn remember_ended(&mut self, channel: ChannelId) {
        if self.ended.len() == REMEMBERED_CHANNELS {
            self.ended.pop_front();
        }
        self.ended.push_back(channel);
    }
}

/// The mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Only heartbeats, reports and commands outside tunnels.
    Heartbeat,
    /// A technician works on this machine.
    Tunnel(Tunnel),
}

/// The mode and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    mode: Mode,
    max_running: usize,
}

impl State {
    /// A state in heartbeat mode that lets a session run at most `max_running` commands at once.
    #[must_use]
    pub fn new(max_running: usize) -> Self {
        Self {
            mode: Mode::Heartbeat,
            max_running,
        }
    }

    /// The session, in tunnel mode.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match &self.mode {
            Mode::Heartbeat => None,
            Mode::Tunnel(tunnel) => Some(tunnel.session),
        }
    }

    /// The technician whose session it is, in tunnel mode.
    #[must_use]
    pub fn technician(&self) -> Option<UserId> {
        match &self.mode {
            Mode::Heartbeat => None,
            Mode::Tunnel(tunnel) => Some(tunnel.tech),
        }
    }

    /// Takes one event and tells what is to be done, in order.
    pub fn on_event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Open(open) => self.open(&open),
            Event::Close(close) => self.close(&close),
            Event::Data(data) => self.data(data),
            Event::ChannelEnded(channel) => self.channel_ended(channel),
            Event::EntryFailed(reason) => self.entry_failed(reason),
            Event::ConnectionLost => self.leave(None),
            Event::Stopping => self.leave(Some("the agent is being stopped")),
        }
    }

    fn open(&mut self, open: &TunnelOpen) -> Vec<Effect> {
        let ready = Effect::send(AgentMessage::TunnelReady(TunnelReady {
            session_id: open.session_id,
        }));
        match &self.mode {
            Mode::Heartbeat => {
                self.mode = Mode::Tunnel(Tunnel::new(open));
                vec![Effect::Enter(open.session_id), ready]
            }
            Mode::Tunnel(tunnel) if tunnel.session == open.session_id => vec![ready],
            Mode::Tunnel(_) => vec![closed(
                open.session_id,
                "busy: another session is open on this machine",
            )],
        }
    }

    fn close(&mut self, close: &TunnelClose) -> Vec<Effect> {
        if self.session() == Some(close.session_id) {
            return self.leave(Some("closed"));
        }
        vec![closed(close.session_id, "not open on this machine")]
    }

    fn leave(&mut self, answer: Option<&str>) -> Vec<Effect> {
        let Mode::Tunnel(tunnel) = std::mem::replace(&mut self.mode, Mode::Heartbeat) else {
            return Vec::new();
        };
        let mut effects = vec![Effect::Leave(tunnel.session)];
        effects.extend(answer.map(|reason| closed(tunnel.session, reason)));
        effects
    }

    fn entry_failed(&mut self, reason: String) -> Vec<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Heartbeat) {
            Mode::Heartbeat => Vec::new(),
            Mode::Tunnel(tunnel) => vec![closed(tunnel.session, reason)],
        }
    }

    fn channel_ended(&mut self, channel: ChannelId) -> Vec<Effect> {
        if let Mode::Tunnel(tunnel) = &mut self.mode
            && tunnel.running.remove(&channel)
        {
            tunnel.remember_ended(channel);
        }
        Vec::new()
    }

    fn data(&mut self, TunnelData { channel_id, data }: TunnelData) -> Vec<Effect> {
        let Mode::Tunnel(tunnel) = &mut self.mode else {
            return match data {
                TunnelPayload::Terminal(_) => vec![failed(channel_id, "no tunnel is open")],
                _ => Vec::new(),
            };
        };
        match data {
            TunnelPayload::Terminal(terminal) => {
                start(tunnel, self.max_running, channel_id, terminal)
            }
            TunnelPayload::Window(window) => vec![Effect::Grant(channel_id, window.limit)],
            TunnelPayload::Close => vec![Effect::Cancel(channel_id)],
            TunnelPayload::Probe(probe) if probe.data.len() <= Probe::MAX_BYTES => {
                vec![Effect::send(AgentMessage::TunnelData(TunnelData {
                    channel_id,
                    data: TunnelPayload::ProbeReply(probe),
                }))]
            }
            _ => Vec::new(),
        }
    }
}

fn start(
    tunnel: &mut Tunnel,
    max_running: usize,
    channel: ChannelId,
    terminal: Terminal,
) -> Vec<Effect> {
    if terminal.session_id.is_some_and(|id| id != tunnel.session) {
        return vec![failed(
            channel,
            "the command is for another session than the open one",
        )];
    }
    if tunnel.knows(&channel) {
        return Vec::new();
    }
    let refusal = if matches!(terminal.command_type, Some(CommandType::ClaudeTask { .. })) {
        Some("claude_task is not enabled on this agent".to_owned())
    } else if terminal.command.trim().is_empty() {
        Some("the command is empty".to_owned())
    } else if tunnel.running.len() >= max_running {
        Some(format!(
            "{max_running} commands are running already, no more are allowed"
        ))
    } else {
        None
    };
    if let Some(reason) = refusal {
        tunnel.remember_ended(channel.clone());
        return vec![failed(channel, reason)];
    }
    tunnel.running.insert(channel.clone());
    vec![Effect::Start(channel, Box::new(terminal))]
}

fn closed(session_id: SessionId, reason: impl Into<String>) -> Effect {
    Effect::send(AgentMessage::TunnelClosed(TunnelClosed {
        session_id,
        reason: reason.into(),
    }))
}

fn failed(channel_id: ChannelId, error: impl Into<String>) -> Effect {
    Effect::send(AgentMessage::TunnelError(TunnelError {
        channel_id,
        error: error.into(),
    }))
}

#[cfg(test)]
mod sequences;
#[cfg(test)]
mod tests;
