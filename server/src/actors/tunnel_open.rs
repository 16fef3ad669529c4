//! How a session opens: its row is committed, then the agent is asked, then whoever waits is told.

use std::time::Duration;

use actix::prelude::*;
use gururmm_shared::{CAPABILITY_DATA_PLANE, ServerMessage, TunnelOpen};

use super::connection_messages::ToConnection;
use super::registry_messages::OpenError;
use super::tunnel::TunnelSession;
use crate::db::DbError;
use crate::db::tech_sessions::{self, NewSession, OpenOutcome};
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

    pub(super) fn answer_opener(&mut self, answer: Result<(), OpenError>) {
        if let Some(opened) = self.opened.take()
            && opened.send(answer).is_err()
        {
            tracing::debug!(session.id = %self.id, "the one who opened the session has gone");
        }
    }

    pub(super) fn ask_agent(&mut self, ctx: &mut Context<Self>) {
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
        }));
        let patience = Duration::from_secs(self.settings.open_timeout_seconds.into());
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
                act.answer_opener(Ok(()));
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
