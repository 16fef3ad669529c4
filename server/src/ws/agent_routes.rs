//! Which session what an agent says is for.

use std::collections::HashMap;

use actix::Recipient;
use gururmm_shared::{ChannelId, ServerMessage, SessionId, TunnelData, TunnelPayload};

use crate::actors::session_messages::FromAgent;

/// The sessions of one connection, and whose each channel is.
#[derive(Default)]
pub(super) struct AgentRoutes {
    sessions: HashMap<SessionId, Recipient<FromAgent>>,
    channels: HashMap<ChannelId, SessionId>,
}

impl AgentRoutes {
    /// Adds a session.
    pub(super) fn attach(&mut self, session_id: SessionId, tunnel: Recipient<FromAgent>) {
        self.sessions.insert(session_id, tunnel);
    }

    /// Forgets a session and its channels.
    pub(super) fn detach(&mut self, session_id: SessionId) {
        self.sessions.remove(&session_id);
        self.channels.retain(|_, session| *session != session_id);
    }

    /// Notes what a session opens with a message to the agent.
    pub(super) fn note_sent(&mut self, session_id: SessionId, message: &ServerMessage) {
        if let ServerMessage::TunnelData(TunnelData { channel_id, data }) = message
            && matches!(data, TunnelPayload::Terminal(_) | TunnelPayload::Probe(_))
        {
            self.channels.insert(channel_id.clone(), session_id);
        }
    }

    /// A session by its id.
    pub(super) fn of_session(&self, session_id: &SessionId) -> Option<&Recipient<FromAgent>> {
        self.sessions.get(session_id)
    }

    /// The session of a channel. An agent of the first generation may name a channel that nobody
    /// opened, or its session; with one session there is no doubt.
    pub(super) fn of_channel(&self, channel_id: &ChannelId) -> Option<&Recipient<FromAgent>> {
        let named = || channel_id.as_str().parse::<SessionId>().ok();
        match self.channels.get(channel_id).copied().or_else(named) {
            Some(session_id) => self.sessions.get(&session_id),
            None if self.sessions.len() == 1 => self.sessions.values().next(),
            None => None,
        }
    }
}
