//! How a session opens: its row is committed, then the agent is asked, then whoever waits is told.

use std::time::Duration;

use actix::prelude::*;
use gururmm_shared::{
    CAPABILITY_CONSENT, CAPABILITY_DATA_PLANE, ConsentOutcome, ServerMessage, TunnelOpen,
};

use super::connection_messages::ToConnection;
use super::registry_messages::OpenError;
use super::tunnel::TunnelSession;
use crate::db::DbError;
use crate::db::tech_sessions::{self, NewSession, OpenOutcome};
use crate::db::tunnel_audit;
use crate::domain::close_reason::CloseReason;
use crate::domain::session_state::{Event, Phase};
use crate::services::audit;

impl TunnelSession {
    pub(super) fn write_row(&mut self, ctx: &mut Context<Self>) {
        let session = NewSession {
            session_id: self.id,
            tech_id: self.owner.user_id,
            agent_id: self.agent.agent_id,
            at: self.opened_at,
            max_open: self.settings.max_sessions_per_technician,
            token_version: self.token_version,
            key_id: self.owner.key_id,
        };
        let mut row = audit::open(&self.owner, self.agent_name(), self.id);
        row.id = self.open_audit;
        let db = self.db.clone();
        let write = async move { tech_sessions::open(&db, session, row).await };
        ctx.spawn(write.into_actor(self).map(|outcome, act, ctx| match outcome {
            Ok(OpenOutcome::Opened) => act.step(Event::RowWritten, ctx),
            Ok(OpenOutcome::Duplicate) => act.give_up(OpenError::Duplicate, ctx),
            Ok(OpenOutcome::TooMany { open }) => act.give_up(OpenError::TooMany(open), ctx),
            Err(DbError::ForeignKey) => act.give_up(OpenError::Gone, ctx),
            Err(DbError::NotFound) => act.give_up(OpenError::Revoked, ctx),
            Err(error) => {
                tracing::error!(%error, session.id = %act.id, "a session cannot be written");
                act.answer_opener(Err(OpenError::Unavailable));
                // An answer that was lost says nothing about the commit: end it as if it was.
                act.commit_unknown = matches!(error, DbError::Unavailable(_));
                act.step(Event::Close(CloseReason::Fault), ctx);
                act.step(Event::RowWritten, ctx);
            }
        }));
    }

    /// Ends without a trace: there is no row.
    fn give_up(&mut self, error: OpenError, ctx: &mut Context<Self>) {
        self.answer_opener(Err(error));
        self.step(Event::RowRefused, ctx);
    }

    pub(super) fn answer_opener(&mut self, answer: Result<Option<ConsentOutcome>, OpenError>) {
        if let Some(opened) = self.opened.take()
            && opened.send(answer).is_err()
        {
            tracing::debug!(session.id = %self.id, "the one who opened the session has gone");
        }
    }

    pub(super) fn ask_agent(&mut self, ctx: &mut Context<Self>) {
        if self.asked.is_some() && !self.agent.can(CAPABILITY_CONSENT) {
            return self.cannot_ask(ctx);
        }
        self.send_open(ctx);
    }

    /// The agent has no way to the person at its machine: the policy says what then.
    fn cannot_ask(&mut self, ctx: &mut Context<Self>) {
        let outcome = ConsentOutcome::CannotAsk;
        self.write_consent(outcome, ctx, move |act, ctx| {
            let asked = act.asked.take();
            if asked.is_none_or(|asked| asked.allows(outcome)) {
                act.send_open(ctx);
            } else {
                act.step(Event::NotAgreed, ctx);
            }
        });
    }

    /// The agent is ready: what the person at its machine said is written down before anybody hears of it.
    pub(super) fn on_ready(&mut self, consent: Option<ConsentOutcome>, ctx: &mut Context<Self>) {
        let is_settled = self.consent_written || self.state.phase() != Phase::Active;
        let Some(asked) = self.asked.clone().filter(|_| !is_settled) else {
            return self.step(Event::AgentReady, ctx);
        };
        if self.consent.is_some() {
            // It is being written down; then it goes on.
            return;
        }
        let outcome = consent.unwrap_or(ConsentOutcome::Unknown);
        self.write_consent(outcome, ctx, move |act, ctx| {
            if asked.allows(outcome) {
                act.step(Event::AgentReady, ctx);
            } else {
                tracing::warn!(session.id = %act.id, "an agent opened a tunnel that nobody agreed to");
                act.step(Event::Close(CloseReason::NoConsent), ctx);
            }
        });
    }

    /// The agent has left, or did not want the session: for the person's sake, where it says so.
    pub(super) fn on_left(&mut self, consent: Option<ConsentOutcome>, ctx: &mut Context<Self>) {
        match consent {
            Some(_) if self.consent.is_some() && !self.consent_written => {}
            Some(outcome) if self.state.phase() == Phase::Active && self.asked.is_some() => {
                self.write_consent(outcome, ctx, |act, ctx| act.step(Event::NotAgreed, ctx));
            }
            _ => self.step(Event::AgentLeft, ctx),
        }
    }

    /// Writes down what the person at the machine said, then goes on; without that nothing opens.
    fn write_consent(
        &mut self,
        outcome: ConsentOutcome,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        self.consent = Some(outcome);
        let mode = self.asked.as_ref().map(|asked| asked.mode);
        let row = audit::consent(&self.owner, self.agent_name(), self.id, (mode, outcome));
        let db = self.db.clone();
        let write = async move { tunnel_audit::insert(&db, row).await };
        ctx.spawn(write.into_actor(self).map(move |written, act, ctx| match written {
            Ok(()) => {
                act.consent_written = true;
                then(act, ctx);
            }
            Err(error) => {
                tracing::error!(%error, session.id = %act.id, "what was said to a tunnel could not be audited, and it does not open");
                act.answer_opener(Err(OpenError::Unavailable));
                act.step(Event::Close(CloseReason::Fault), ctx);
            }
        }));
    }

    fn send_open(&mut self, ctx: &mut Context<Self>) {
        let tunnel = ctx.address().recipient();
        self.agent.connection.do_send(ToConnection::Attach {
            session_id: self.id,
            tunnel,
        });
        let speaks = self.agent.can(CAPABILITY_DATA_PLANE);
        self.send_to_agent(ServerMessage::TunnelOpen(TunnelOpen {
            session_id: self.id,
            tech_id: self.owner.user_id,
            rules: speaks.then(|| self.rules.clone()),
            resume_grace_seconds: self.grace().map(|_| self.settings.resume_grace_seconds),
            consent: self.asked.clone(),
        }));
        let thinking = self.asked.as_ref().map_or(0, |asked| asked.timeout_seconds);
        let seconds = self.settings.open_timeout_seconds.saturating_add(thinking);
        let patience = Duration::from_secs(seconds.into());
        self.start_timer(patience, Event::OpenTimedOut, ctx);
    }

    pub(super) fn announce_ready(&mut self, ctx: &mut Context<Self>) {
        self.stop_timer(ctx);
        self.note_activity();
        let (db, id, audit_id) = (self.db.clone(), self.id, self.open_audit);
        let write = async move {
            audit::finish(&db, audit_id, "ready", None).await;
            tech_sessions::mark_ready(&db, id, audit::now()).await
        };
        ctx.spawn(write.into_actor(self).map(|written, act, ctx| match written {
            Ok(_) if act.state.phase() == Phase::Ready => {
                tracing::info!(session.id = %act.id, agent.id = %act.agent.agent_id, "tunnel is ready");
                act.answer_opener(Ok(act.consent));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, session.id = %act.id, "a session cannot be marked ready");
                act.answer_opener(Err(OpenError::Unavailable));
                act.step(Event::Close(CloseReason::Fault), ctx);
            }
        }));
    }
}
