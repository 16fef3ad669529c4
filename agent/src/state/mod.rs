//! The agent's mode and what changes it, as a pure step: no clock, no process, no socket.
//!
//! ```text
//!                     Open
//!   Heartbeat ──────────────────────▶ Tunnel { session, tech, rules, channels }
//!       │ ▲ └──Open, consent──▶ Asking ──Answered, yes──▲
//!       │ └──Close · Answered, no · ConnectionLost · Stopping──┘
//!       ▲                                │ ▲  Open, same session: ready again
//!       │   Close · EntryFailed ·        │ │  Open, another session: refused, nothing else changes
//!       ├── ConnectionLost · Stopping ───┤ └─ Data: a channel opens, takes a window or is cancelled
//!       │                                │
//!       │            ConnectionLost, with a grace ▼   ▲ Resume
//!       └── Close · GraceOver · Stopping · Open ── Suspended { the same, terminals only }
//! ```
//!
//! The caller carries the effects out in their order and reports what became of them.

mod channels;
mod permission;
mod step;
mod tunnel;

use std::sync::Arc;

use gururmm_shared::{
    AgentMessage, ChannelId, ConsentMode, ConsentOutcome, SessionId, TunnelClose, TunnelClosed,
    TunnelData, TunnelOpen, TunnelReady, TunnelResume, TunnelRules, UserId,
};

pub use step::{Effect, Event};
pub use tunnel::{Running, Tunnel};

/// The mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Only heartbeats, reports and commands outside tunnels.
    Heartbeat,
    /// Who sits at the machine is asked, or told, before a technician works on it.
    Asking(Box<TunnelOpen>),
    /// A technician works on this machine.
    Tunnel(Tunnel),
    /// The connection was lost and the session waits for the next one.
    Suspended(Tunnel),
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

    /// The session, where there is one.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match &self.mode {
            Mode::Asking(open) => Some(open.session_id),
            _ => self.tunnel().map(|tunnel| tunnel.session),
        }
    }

    /// The technician whose session it is, where there is one.
    #[must_use]
    pub fn technician(&self) -> Option<UserId> {
        self.tunnel().map(|tunnel| tunnel.tech)
    }

    /// What may be done in the session.
    #[must_use]
    pub fn rules(&self) -> Arc<TunnelRules> {
        self.tunnel()
            .map_or_else(Arc::default, |tunnel| Arc::clone(&tunnel.rules))
    }

    /// Whether terminals outlive a lost connection.
    #[must_use]
    pub fn keeps_terminals(&self) -> bool {
        self.tunnel().is_some_and(|tunnel| tunnel.grace > 0)
    }

    /// The session and the technician, where the session waits for a new connection.
    #[must_use]
    pub fn suspended(&self) -> Option<(SessionId, UserId)> {
        match &self.mode {
            Mode::Suspended(tunnel) => Some((tunnel.session, tunnel.tech)),
            Mode::Heartbeat | Mode::Asking(_) | Mode::Tunnel(_) => None,
        }
    }

    /// Takes one event and tells what is to be done, in order.
    pub fn on_event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Open(open) => self.open(&open),
            Event::Resume(resume) => self.resume(&resume),
            Event::Close(close) => self.close(&close),
            Event::Answered(session, outcome) => self.answered(session, outcome),
            Event::Data(data) => self.data(data),
            Event::ChannelEnded(channel) => self.channel_ended(channel),
            Event::EntryFailed(reason) => self.entry_failed(reason),
            Event::ConnectionLost => self.connection_lost(),
            Event::GraceOver => self.grace_over(),
            Event::Stopping => self.leave(Some("the agent is being stopped")),
        }
    }

    fn tunnel(&self) -> Option<&Tunnel> {
        match &self.mode {
            Mode::Heartbeat | Mode::Asking(_) => None,
            Mode::Tunnel(tunnel) | Mode::Suspended(tunnel) => Some(tunnel),
        }
    }

    fn open(&mut self, open: &TunnelOpen) -> Vec<Effect> {
        match &self.mode {
            Mode::Heartbeat => self.begin(open),
            Mode::Tunnel(tunnel) if tunnel.session == open.session_id => {
                vec![ready(open.session_id, tunnel.consent)]
            }
            // It is answered once they have.
            Mode::Asking(asking) if asking.session_id == open.session_id => Vec::new(),
            Mode::Tunnel(_) | Mode::Asking(_) => vec![closed(
                open.session_id,
                "busy: another session is open on this machine",
            )],
            // The server does not know of the kept session, or does not want it any more.
            Mode::Suspended(_) => {
                let mut effects = self.leave(None);
                effects.extend(self.begin(open));
                effects
            }
        }
    }

    /// Enters a session, after who sits at the machine has been asked where the server wants that.
    fn begin(&mut self, open: &TunnelOpen) -> Vec<Effect> {
        match &open.consent {
            Some(request) if request.mode != ConsentMode::None => {
                let request = Box::new(request.clone());
                self.mode = Mode::Asking(Box::new(open.clone()));
                vec![Effect::Ask(open.session_id, request)]
            }
            _ => self.enter(open, None),
        }
    }

    fn answered(&mut self, session: SessionId, outcome: ConsentOutcome) -> Vec<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Heartbeat) {
            Mode::Asking(open) if open.session_id == session => {
                let request = open.consent.as_ref();
                if request.is_none_or(|request| request.allows(outcome)) {
                    return self.enter(&open, Some(outcome));
                }
                let reason = "who sits at the machine did not agree";
                vec![closed_for(session, reason, Some(outcome))]
            }
            other => {
                self.mode = other;
                Vec::new()
            }
        }
    }

    fn enter(&mut self, open: &TunnelOpen, consent: Option<ConsentOutcome>) -> Vec<Effect> {
        self.mode = Mode::Tunnel(Tunnel::new(open, consent));
        vec![
            Effect::Enter(open.session_id),
            ready(open.session_id, consent),
        ]
    }

    fn resume(&mut self, resume: &TunnelResume) -> Vec<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Heartbeat) {
            Mode::Suspended(mut tunnel) if tunnel.session == resume.session_id => {
                let mut effects = vec![ready(tunnel.session, tunnel.consent)];
                effects.extend(tunnel.resume(&resume.streams));
                self.mode = Mode::Tunnel(tunnel);
                effects
            }
            other => {
                self.mode = other;
                match &self.mode {
                    Mode::Tunnel(tunnel) if tunnel.session == resume.session_id => {
                        vec![ready(resume.session_id, tunnel.consent)]
                    }
                    _ => vec![closed(resume.session_id, "not open on this machine")],
                }
            }
        }
    }

    fn close(&mut self, close: &TunnelClose) -> Vec<Effect> {
        if self.session() == Some(close.session_id) {
            return self.leave(Some("closed"));
        }
        vec![closed(close.session_id, "not open on this machine")]
    }

    fn leave(&mut self, answer: Option<&str>) -> Vec<Effect> {
        let tunnel = match std::mem::replace(&mut self.mode, Mode::Heartbeat) {
            Mode::Heartbeat => return Vec::new(),
            Mode::Asking(open) => {
                let mut effects = vec![Effect::StopAsking];
                effects.extend(answer.map(|reason| closed(open.session_id, reason)));
                return effects;
            }
            Mode::Tunnel(tunnel) | Mode::Suspended(tunnel) => tunnel,
        };
        let mut effects = vec![Effect::Leave(tunnel.session)];
        effects.extend(answer.map(|reason| closed(tunnel.session, reason)));
        effects
    }

    fn connection_lost(&mut self) -> Vec<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Heartbeat) {
            Mode::Tunnel(mut tunnel) if tunnel.grace > 0 => {
                let effects = tunnel.suspend();
                self.mode = Mode::Suspended(tunnel);
                effects
            }
            Mode::Tunnel(tunnel) => vec![Effect::Leave(tunnel.session)],
            Mode::Asking(_) => vec![Effect::StopAsking],
            // Its grace goes on from the first loss.
            other => {
                self.mode = other;
                Vec::new()
            }
        }
    }

    fn grace_over(&mut self) -> Vec<Effect> {
        match self.mode {
            Mode::Suspended(_) => self.leave(Some("the connection was lost for too long")),
            Mode::Heartbeat | Mode::Asking(_) | Mode::Tunnel(_) => Vec::new(),
        }
    }

    fn entry_failed(&mut self, reason: String) -> Vec<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Heartbeat) {
            Mode::Heartbeat => Vec::new(),
            Mode::Asking(open) => vec![closed(open.session_id, reason)],
            Mode::Tunnel(tunnel) | Mode::Suspended(tunnel) => {
                vec![closed(tunnel.session, reason)]
            }
        }
    }

    fn channel_ended(&mut self, channel: ChannelId) -> Vec<Effect> {
        match &mut self.mode {
            Mode::Heartbeat | Mode::Asking(_) => {}
            Mode::Tunnel(tunnel) => tunnel.channel_ended(channel),
            // The next connection has names of its own.
            Mode::Suspended(tunnel) => {
                tunnel.running.remove(&channel);
            }
        }
        Vec::new()
    }

    fn data(&mut self, data: TunnelData) -> Vec<Effect> {
        match &mut self.mode {
            Mode::Tunnel(tunnel) => channels::in_session(tunnel, self.max_running, data),
            Mode::Heartbeat | Mode::Asking(_) | Mode::Suspended(_) => {
                channels::without_session(data)
            }
        }
    }
}

fn ready(session_id: SessionId, consent: Option<ConsentOutcome>) -> Effect {
    Effect::send(AgentMessage::TunnelReady(TunnelReady {
        session_id,
        consent,
    }))
}

fn closed(session_id: SessionId, reason: impl Into<String>) -> Effect {
    closed_for(session_id, reason, None)
}

fn closed_for(
    session_id: SessionId,
    reason: impl Into<String>,
    consent: Option<ConsentOutcome>,
) -> Effect {
    Effect::send(AgentMessage::TunnelClosed(TunnelClosed {
        session_id,
        reason: reason.into(),
        consent,
    }))
}

#[cfg(test)]
mod channel_tests;
#[cfg(test)]
mod consent_tests;
#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod sequences;
#[cfg(test)]
mod tests;
