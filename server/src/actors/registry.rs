//! Who is connected and which sessions are open: finds the way, closes, drains.
//!
//! Control only: no payload passes through here, and nothing here waits for a database or a
//! socket. Its handlers cannot panic, for a supervisor restarts an actor that stopped, not one
//! that panicked.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::future::join_all;
use gururmm_shared::{AgentId, SessionId, close_code};
use tokio::sync::oneshot;

use super::command_messages::AgentDown;
use super::connection_messages::{AgentHandle, ToConnection};
use super::event_messages::Happened;
use super::live_sessions::LiveSessions;
use super::metrics_messages::Report;
use super::pollers::Pollers;
use super::registry_messages::{
    Adopt, Census, CloseSessions, Count, Drain, DropAgent, FindSession, Generation, ListSessions,
    LiveSession, Online, OpenError, OpenTunnel, OpenedTunnel, Polled, Register, SessionsOf,
    Stopping, TellAgent, Unregister,
};
use super::session_messages::SessionEnded;
use super::tunnel::{NewTunnel, TunnelSession};
use crate::config::TunnelSettings;
use crate::db::Db;
use crate::domain::agent_news::Mode;
use crate::domain::close_reason::CloseReason;
use crate::services::audit;
use crate::services::recordings::Recordings;

/// How often connections are looked at from outside.
const WATCH: Duration = Duration::from_secs(1);
/// How long sessions have to end when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(2500);

/// How long ends of sessions are waited for, for those who asked.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// Deleted agents that are remembered.
const DELETED_REMEMBERED: usize = 1000;

struct ConnectedAgent {
    handle: AgentHandle,
    generation: Generation,
}

/// The supervisor of agents and sessions.
pub struct AgentRegistry {
    agents: HashMap<AgentId, ConnectedAgent>,
    pollers: Pollers,
    sessions: LiveSessions,
    generations: Generation,
    stopping: bool,
    next_arbiter: usize,
    arbiters: Vec<ArbiterHandle>,
    db: Db,
    recordings: Recordings,
    settings: Arc<TunnelSettings>,
    idle_timeout: Duration,
    reports: Recipient<Report>,
    commands: Recipient<AgentDown>,
    events: Recipient<Happened>,
    deleted: VecDeque<AgentId>,
}

/// Who is told what the registry hears.
pub struct Listeners {
    /// Who came and went.
    pub reports: Recipient<Report>,
    /// Who went.
    pub commands: Recipient<AgentDown>,
    /// What becomes of agents and sessions.
    pub events: Recipient<Happened>,
}

impl AgentRegistry {
    /// An empty registry that spreads its sessions over `arbiters`.
    #[must_use]
    pub fn new(
        db: Db,
        recordings: Recordings,
        settings: Arc<TunnelSettings>,
        idle_timeout: Duration,
        arbiters: Vec<ArbiterHandle>,
        listeners: Listeners,
    ) -> Self {
        Self {
            agents: HashMap::new(),
            pollers: Pollers::default(),
            sessions: LiveSessions::default(),
            generations: 0,
            stopping: false,
            next_arbiter: 0,
            arbiters,
            db,
            recordings,
            settings,
            idle_timeout,
            reports: listeners.reports,
            commands: listeners.commands,
            events: listeners.events,
            deleted: VecDeque::new(),
        }
    }

    fn next_arbiter(&mut self) -> ArbiterHandle {
        self.next_arbiter = self.next_arbiter.wrapping_add(1);
        match self
            .arbiters
            .get(self.next_arbiter % self.arbiters.len().max(1))
        {
            Some(arbiter) => arbiter.clone(),
            None => Arbiter::current(),
        }
    }

    fn forget(&mut self, agent_id: AgentId, generation: Generation) -> Option<ConnectedAgent> {
        if self.agents.get(&agent_id)?.generation != generation {
            return None;
        }
        let agent = self.agents.remove(&agent_id);
        self.sessions.tell_gone(agent_id, generation);
        self.reports
            .do_send(Report::Disconnected(agent_id, audit::now()));
        self.commands.do_send(AgentDown {
            agent_id,
            generation,
        });
        self.tell_mode(agent_id, Mode::Offline);
        self.report();
        agent
    }

    fn tell_mode(&self, agent_id: AgentId, mode: Mode) {
        let at = audit::now();
        self.events
            .do_send(Happened::AgentMode { agent_id, mode, at });
    }

    /// Tells what a connected agent is doing.
    fn tell_connected(&self, agent_id: AgentId) {
        let mode = if self.sessions.has_any(agent_id) {
            Mode::Tunnel
        } else {
            Mode::Heartbeat
        };
        self.tell_mode(agent_id, mode);
    }

    fn drop_silent_pollers(&mut self) {
        for agent_id in self.pollers.take_silent(Instant::now()) {
            self.reports
                .do_send(Report::Disconnected(agent_id, audit::now()));
            self.tell_mode(agent_id, Mode::Offline);
        }
    }

    /// Ends connections that gave no sign of life; their own actors may be frozen by a peer that
    /// takes no data, so they are forgotten here without waiting for them. So are those whose actor
    /// ended before it knew that it was registered, and could not say goodbye.
    fn drop_silent(&mut self) {
        let now = Instant::now();
        let silent: Vec<(AgentId, Generation)> = self
            .agents
            .iter()
            .filter(|(_, agent)| {
                !agent.handle.connection.connected()
                    || agent.handle.last_seen.age(now) >= self.idle_timeout
            })
            .map(|(id, agent)| (*id, agent.generation))
            .collect();
        for (agent_id, generation) in silent {
            tracing::warn!(agent.id = %agent_id, "an agent is gone without a goodbye, or gave no sign of life, and is dropped");
            if let Some(agent) = self.forget(agent_id, generation) {
                agent.handle.connection.do_send(ToConnection::Close {
                    code: close_code::POLICY,
                    reason: "no sign of life",
                });
            }
        }
    }

    fn report(&self) {
        metrics::gauge!("gururmm_agents_online").set(count(self.agents.len()));
        metrics::gauge!("gururmm_tunnels_open").set(count(self.sessions.len()));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge of how many there are")]
fn count(n: usize) -> f64 {
    n as f64
}

impl Actor for AgentRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4096);
        ctx.run_interval(WATCH, |act, _| {
            act.drop_silent();
            act.sessions.end_expired(audit::now());
            act.drop_silent_pollers();
        });
    }
}

impl Supervised for AgentRegistry {
    fn restarting(&mut self, _: &mut Self::Context) {
        tracing::error!("the registry was restarted");
    }
}

impl Handler<Register> for AgentRegistry {
    type Result = Result<Generation, Stopping>;

    fn handle(&mut self, message: Register, _: &mut Self::Context) -> Self::Result {
        if self.stopping || self.deleted.contains(&message.handle.agent_id) {
            return Err(Stopping);
        }
        self.generations += 1;
        let generation = self.generations;
        let agent_id = message.handle.agent_id;
        let handle = message.handle.clone();
        let agent = ConnectedAgent {
            handle: message.handle,
            generation,
        };
        if let Some(old) = self.agents.insert(agent_id, agent) {
            tracing::info!(agent.id = %agent_id, "an agent connected again; its old connection ends");
            metrics::counter!("gururmm_agents_replaced_total").increment(1);
            self.sessions.tell_gone(agent_id, old.generation);
            old.handle.connection.do_send(ToConnection::Close {
                code: close_code::REPLACED,
                reason: "the same agent connected again",
            });
        }
        self.sessions.tell_back(&handle, generation, message.kept);
        // What polled before is connected now: when it goes, it is gone.
        self.pollers.forget(agent_id);
        self.tell_connected(agent_id);
        self.report();
        Ok(generation)
    }
}

impl Handler<Polled> for AgentRegistry {
    type Result = ();

    fn handle(&mut self, message: Polled, _: &mut Self::Context) {
        if !self.deleted.contains(&message.0) {
            self.pollers.note(message.0, Instant::now());
            if !self.agents.contains_key(&message.0) {
                self.tell_mode(message.0, Mode::Heartbeat);
            }
        }
    }
}

impl Handler<Unregister> for AgentRegistry {
    type Result = ();

    fn handle(&mut self, message: Unregister, _: &mut Self::Context) {
        self.forget(message.agent_id, message.generation);
    }
}

impl Handler<OpenTunnel> for AgentRegistry {
    type Result = ResponseActFuture<Self, Result<OpenedTunnel, OpenError>>;

    fn handle(&mut self, message: OpenTunnel, ctx: &mut Self::Context) -> Self::Result {
        if self.stopping {
            return Box::pin(actix::fut::ready(Err(OpenError::Stopping)));
        }
        let agent = self.agents.get(&message.agent_id);
        let Some(agent) = agent else {
            return Box::pin(actix::fut::ready(Err(OpenError::Offline)));
        };
        let (sender, opened) = oneshot::channel();
        let session_id = SessionId::generate();
        let generation = agent.generation;
        let user_id = message.caller.user_id;
        let key_id = message.caller.key_id;
        let new = NewTunnel {
            session_id,
            agent: agent.handle.clone(),
            owner: message.caller,
            token_version: message.token_version,
            db: self.db.clone(),
            recordings: self.recordings.clone(),
            settings: self.settings.lying_still(message.idle_timeout_seconds),
            rules: message.rules,
            recording: message.recording,
            max_session_seconds: message.max_session_seconds,
            consent: message.consent,
            registry: ctx.address().recipient(),
            opened: sender,
        };
        let arbiter = self.next_arbiter();
        let tunnel = TunnelSession::start_in_arbiter(&arbiter, move |_| TunnelSession::new(new));
        let agent_id = message.agent_id;
        let live = LiveSession {
            tunnel,
            user_id,
            agent_id,
            key_id,
            expires_at: message.expires_at,
        };
        self.sessions.insert(session_id, live, generation);
        self.report();
        let opened = opened.into_actor(self);
        Box::pin(opened.map(move |opened, act, _| match opened {
            Ok(Ok(consent)) => {
                // It may have ended in this moment.
                if act.sessions.get(session_id).is_some() {
                    act.events.do_send(Happened::Session {
                        session_id,
                        agent_id,
                        owner: user_id,
                        status: "ready",
                    });
                    act.tell_connected(agent_id);
                }
                Ok(OpenedTunnel {
                    session_id,
                    consent,
                })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(OpenError::Ended("fault")),
        }))
    }
}

impl Handler<Adopt> for AgentRegistry {
    type Result = ();

    fn handle(&mut self, message: Adopt, ctx: &mut Self::Context) {
        for left in message.0 {
            let session_id = left.session_id;
            let (user_id, key_id) = (left.owner.user_id, left.owner.key_id);
            let agent_id = left.agent_id;
            let registry = ctx.address().recipient();
            let settings = self.settings.lying_still(left.idle_timeout_seconds);
            let (db, recordings) = (self.db.clone(), self.recordings.clone());
            let arbiter = self.next_arbiter();
            let tunnel = TunnelSession::start_in_arbiter(&arbiter, move |_| {
                TunnelSession::left_open(left, db, recordings, settings, registry)
            });
            let live = LiveSession {
                tunnel,
                user_id,
                agent_id,
                key_id,
                expires_at: None,
            };
            // No connection has that number.
            self.sessions.insert(session_id, live, 0);
        }
        self.report();
    }
}

impl Handler<FindSession> for AgentRegistry {
    type Result = Option<LiveSession>;

    fn handle(&mut self, message: FindSession, _: &mut Self::Context) -> Self::Result {
        self.sessions.get(message.session_id).cloned()
    }
}

impl Handler<ListSessions> for AgentRegistry {
    type Result = MessageResult<ListSessions>;

    fn handle(&mut self, message: ListSessions, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.sessions.of_user(message.user_id, message.key_id))
    }
}

impl Handler<SessionEnded> for AgentRegistry {
    type Result = ();

    fn handle(&mut self, message: SessionEnded, _: &mut Self::Context) {
        let (session_id, agent_id) = (message.session_id, message.agent_id);
        if let Some(owner) = self.sessions.remove(session_id) {
            self.events.do_send(Happened::Session {
                session_id,
                agent_id,
                owner,
                status: message.status,
            });
        }
        if self.agents.contains_key(&agent_id) {
            self.tell_connected(agent_id);
        }
        self.report();
    }
}

impl Handler<CloseSessions> for AgentRegistry {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: CloseSessions, _: &mut Self::Context) -> Self::Result {
        let closing = match message.of {
            SessionsOf::User(id) => self
                .sessions
                .close(message.reason, |session| session.user_id == id),
            SessionsOf::Key(id) => self
                .sessions
                .close(message.reason, |session| session.key_id == Some(id)),
            SessionsOf::Agent(id) => self
                .sessions
                .close(message.reason, |session| session.agent_id == id),
        };
        Box::pin(async move {
            if tokio::time::timeout(END_TIMEOUT, join_all(closing))
                .await
                .is_err()
            {
                tracing::warn!("sessions end, but that cannot be written yet");
            }
        })
    }
}

impl Handler<DropAgent> for AgentRegistry {
    type Result = ();

    fn handle(&mut self, message: DropAgent, _: &mut Self::Context) {
        // One that is being admitted at this moment must not come in after its end.
        self.deleted.push_back(message.agent_id);
        if self.deleted.len() > DELETED_REMEMBERED {
            self.deleted.pop_front();
        }
        self.pollers.forget(message.agent_id);
        let Some(agent) = self.agents.get(&message.agent_id) else {
            return;
        };
        agent.handle.connection.do_send(ToConnection::Close {
            code: close_code::IDENTITY_REVOKED,
            reason: "this agent was deleted on the server",
        });
        let generation = agent.generation;
        self.forget(message.agent_id, generation);
    }
}

impl Handler<Online> for AgentRegistry {
    type Result = MessageResult<Online>;

    fn handle(&mut self, message: Online, _: &mut Self::Context) -> Self::Result {
        let now = Instant::now();
        let age = |id: AgentId| {
            let connected = self.agents.get(&id);
            let polled = || self.pollers.age(id, now);
            let age = connected.map(|agent| agent.handle.last_seen.age(now));
            Some((id, age.or_else(polled)?))
        };
        MessageResult(message.agents.into_iter().filter_map(age).collect())
    }
}

impl Handler<TellAgent> for AgentRegistry {
    type Result = ();

    fn handle(&mut self, message: TellAgent, _: &mut Self::Context) {
        if let Some(agent) = self.agents.get(&message.agent_id) {
            let told = ToConnection::Tell(Box::new(message.message));
            agent.handle.connection.do_send(told);
        }
    }
}

impl Handler<Count> for AgentRegistry {
    type Result = MessageResult<Count>;

    fn handle(&mut self, _: Count, _: &mut Self::Context) -> Self::Result {
        MessageResult(Census {
            agents: self.agents.len(),
            sessions: self.sessions.len(),
        })
    }
}

impl Handler<Drain> for AgentRegistry {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        let closing = self.sessions.close(CloseReason::ServerStopped, |_| true);
        let ended = async move {
            let all = join_all(closing);
            if tokio::time::timeout(DRAIN_TIMEOUT, all).await.is_err() {
                tracing::warn!("some sessions did not end in time; the next start will close them");
            }
        };
        Box::pin(ended.into_actor(self).map(|(), act, _| {
            for agent in act.agents.values() {
                agent.handle.connection.do_send(ToConnection::Close {
                    code: close_code::GOING_AWAY,
                    reason: "the server stops",
                });
            }
        }))
    }
}
