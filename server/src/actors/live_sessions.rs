//! The tunnel sessions that are open, as the registry knows them.

use std::collections::HashMap;

use actix::prelude::Request;
use chrono::{DateTime, Utc};
use gururmm_shared::{
    AgentId, ApiKeyId, KeptSession, ServerMessage, SessionId, TunnelClose, UserId,
};

use super::connection_messages::{AgentHandle, ToConnection};
use super::registry_messages::{Generation, LiveSession};
use super::session_messages::{AgentBack, CloseSession, FromAgent};
use super::tunnel::TunnelSession;
use crate::domain::close_reason::CloseReason;

/// A session and the connection of its agent that it goes over.
struct Open {
    live: LiveSession,
    generation: Generation,
}

/// All of them.
#[derive(Default)]
pub(super) struct LiveSessions(HashMap<SessionId, Open>);

impl LiveSessions {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds one.
    pub(super) fn insert(&mut self, id: SessionId, live: LiveSession, generation: Generation) {
        self.0.insert(id, Open { live, generation });
    }

    /// Forgets one, and tells whose it was.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<UserId> {
        self.0.remove(&id).map(|session| session.live.user_id)
    }

    /// Whether an agent has any.
    pub(super) fn has_any(&self, agent_id: AgentId) -> bool {
        self.0
            .values()
            .any(|session| session.live.agent_id == agent_id)
    }

    /// Finds one.
    pub(super) fn get(&self, id: SessionId) -> Option<&LiveSession> {
        self.0.get(&id).map(|session| &session.live)
    }

    /// A user's sessions (of a key those that were opened with it) with their agents, in the order of their ids.
    pub(super) fn of_user(
        &self,
        user_id: UserId,
        key_id: Option<ApiKeyId>,
    ) -> Vec<(SessionId, AgentId)> {
        let mut own: Vec<_> = self
            .0
            .iter()
            .filter(|(_, session)| session.live.user_id == user_id)
            .filter(|(_, session)| key_id.is_none() || session.live.key_id == key_id)
            .map(|(id, session)| (*id, session.live.agent_id))
            .collect();
        own.sort_unstable();
        own
    }

    /// Tells the sessions over a connection that it is gone.
    pub(super) fn tell_gone(&self, agent_id: AgentId, generation: Generation) {
        for session in self.0.values() {
            if session.live.agent_id == agent_id && session.generation == generation {
                session.live.tunnel.do_send(FromAgent::Gone);
            }
        }
    }

    /// Tells the sessions that wait for an agent that it has come back: the one that it kept goes on over
    /// the new connection, the others have ended there.
    pub(super) fn tell_back(
        &mut self,
        agent: &AgentHandle,
        generation: Generation,
        kept: Option<KeptSession>,
    ) {
        let mut kept = kept;
        let waiting = |session: &&mut Open| {
            session.live.agent_id == agent.agent_id && session.generation != generation
        };
        for (id, session) in self.0.iter_mut() {
            if !waiting(&session) {
                continue;
            }
            match kept
                .take_if(|kept| kept.session_id == *id && kept.tech_id == session.live.user_id)
            {
                Some(kept) => {
                    session.generation = generation;
                    session.live.tunnel.do_send(AgentBack {
                        agent: agent.clone(),
                        terminals: kept.terminals,
                    });
                }
                None => session.live.tunnel.do_send(FromAgent::Forgotten),
            }
        }
        if let Some(unknown) = kept {
            let close = ServerMessage::TunnelClose(TunnelClose {
                session_id: unknown.session_id,
                reason: Some("the server has no such session".to_owned()),
            });
            agent
                .connection
                .do_send(ToConnection::Tell(Box::new(close)));
        }
    }

    /// Ends the sessions whose key has expired. It is said once: a session that cannot write its end yet
    /// tries so itself.
    pub(super) fn end_expired(&mut self, now: DateTime<Utc>) {
        for (id, session) in &mut self.0 {
            if session.live.expires_at.is_some_and(|end| end <= now) {
                session.live.expires_at = None;
                tracing::info!(session.id = %id, "a session ends with the key that opened it");
                session.live.tunnel.do_send(CloseSession {
                    reason: CloseReason::AccessRevoked,
                    caller: None,
                });
            }
        }
    }

    /// Asks the sessions for which `which` holds to close, and answers what to wait for.
    pub(super) fn close(
        &self,
        reason: CloseReason,
        which: impl Fn(&LiveSession) -> bool,
    ) -> Vec<Request<TunnelSession, CloseSession>> {
        self.0
            .values()
            .filter(|session| which(&session.live))
            .map(|session| {
                session.live.tunnel.send(CloseSession {
                    reason,
                    caller: None,
                })
            })
            .collect()
    }
}
