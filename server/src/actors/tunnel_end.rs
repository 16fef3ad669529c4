//! How a session ends: what runs is settled, the row is closed, everybody is told.

use std::time::Duration;

use actix::prelude::*;
use gururmm_shared::{
    AuditId, ConsentOutcome, SessionClosed, SessionId, StreamMessage, close_code,
};

use super::connection_messages::ToConnection;
use super::registry_messages::OpenError;
use super::session_messages::{SessionEnded, ToViewer};
use super::tunnel::TunnelSession;
use crate::db::tunnel_audit::NewAudit;
use crate::db::{Db, DbError, tech_sessions, tunnel_audit};
use crate::domain::channels::Ended;
use crate::domain::close_reason::CloseReason;
use crate::domain::session_state::{Event, Phase};
use crate::services::audit;

/// Pause before the end of a session is written again to a database that did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How often the outcome of a command is tried to be written.
const SETTLE_TRIES: u32 = 60;

/// How often a row is looked for whose commit is not known: longer than the database lets a
/// statement run.
const COMMIT_TRIES: u32 = 60;

/// What is written when a session ends.
struct End {
    session_id: SessionId,
    commit_unknown: bool,
    reason: CloseReason,
    close_row: Option<NewAudit>,
    open_audit: AuditId,
    ended: Vec<Ended>,
}

impl TunnelSession {
    /// Notes in the audit how commands ended.
    pub(super) fn settle(&self, ended: Vec<Ended>) {
        for end in ended {
            let db = self.db.clone();
            // On the arbiter, not in the actor: it is to be written even if the actor stops.
            actix::spawn(async move {
                for _ in 0..SETTLE_TRIES {
                    let written =
                        audit::finish(&db, end.audit_id, end.outcome, end.exit_code).await;
                    if written {
                        return;
                    }
                    tokio::time::sleep(RETRY).await;
                }
            });
        }
    }

    pub(super) fn write_end(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        let end = self.prepare_end(reason);
        // Before the write: viewers must not wait for a database that is away.
        self.tell_viewers(reason);
        let db = self.db.clone();
        let write = async move {
            let closed = loop {
                match write(&db, &end).await {
                    Ok(closed) => break closed,
                    Err(error) => {
                        tracing::error!(%error, session.id = %end.session_id, "the end of a session cannot be written yet");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            };
            if end.commit_unknown && !closed {
                // Not in the actor: nobody is to wait for a row that will hardly ever come.
                actix::spawn(close_late_row(db, end));
            }
        };
        ctx.spawn(
            write
                .into_actor(self)
                .map(|(), act, ctx| act.step(Event::RowClosed, ctx)),
        );
    }

    fn prepare_end(&mut self, reason: CloseReason) -> End {
        let (outgoing, mut ended) = self.channels.end_all(reason.command_outcome());
        self.send_out(outgoing);
        ended.extend(self.end_streams(reason.command_outcome()));
        ended.extend(self.end_terminals(reason.command_outcome()));
        let left = self.left.take().unwrap_or_default();
        ended.extend(left.into_iter().map(|row| Ended {
            audit_id: row.audit_id,
            outcome: reason.command_outcome(),
            exit_code: None,
        }));
        let close_row = (!self.close_audited).then(|| {
            self.close_row.take().unwrap_or_else(|| {
                let closer = self.closer.as_ref().unwrap_or(&self.owner);
                let row = audit::close(closer, self.agent_name(), self.id, reason.name());
                NewAudit {
                    detail: self.close_detail(reason),
                    ..row
                }
            })
        });
        self.close_audited = true;
        let being_written = matches!(self.state.phase(), Phase::Opening | Phase::Doomed(_));
        End {
            session_id: self.id,
            commit_unknown: self.commit_unknown || being_written,
            reason,
            close_row,
            open_audit: self.open_audit,
            ended,
        }
    }

    fn close_detail(&self, reason: CloseReason) -> String {
        match reason {
            CloseReason::AgentRefused | CloseReason::AgentClosed => {
                format!("{}: {}", reason.name(), self.refusal_text())
            }
            _ => reason.name().to_owned(),
        }
    }

    pub(super) fn finish(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        tracing::info!(session.id = %self.id, agent.id = %self.agent.agent_id, reason = reason.name(), "tunnel has ended");
        metrics::counter!("gururmm_tunnels_ended_total", "reason" => reason.name()).increment(1);
        self.answer_opener(Err(match reason {
            CloseReason::AgentRefused => OpenError::Refused(self.refusal_text()),
            CloseReason::NoConsent => {
                OpenError::NoConsent(self.consent.unwrap_or(ConsentOutcome::Unknown))
            }
            CloseReason::OpenTimedOut => OpenError::TimedOut(self.settings.open_timeout_seconds),
            CloseReason::AgentDisconnected => OpenError::Gone,
            other => OpenError::Ended(other.name()),
        }));
        self.agent.connection.do_send(ToConnection::Detach {
            session_id: self.id,
        });
        self.registry.do_send(SessionEnded {
            session_id: self.id,
            agent_id: self.agent.agent_id,
            status: reason.status(),
        });
        for closer in self.closing.drain(..) {
            // Who no longer waits need not be told.
            let _ = closer.send(());
        }
        ctx.stop();
    }

    fn tell_viewers(&mut self, reason: CloseReason) {
        let closed = StreamMessage::SessionClosed(SessionClosed {
            status: reason.status().to_owned(),
            reason: reason.name().to_owned(),
        });
        let code = match reason {
            CloseReason::ServerStopped => close_code::GOING_AWAY,
            CloseReason::Fault => close_code::INTERNAL_ERROR,
            _ => close_code::NORMAL,
        };
        let text = bytestring::ByteString::from(closed.encode());
        for (_, viewer) in self.viewers.drain() {
            viewer.socket.do_send(ToViewer::Text {
                text: text.clone(),
                bytes: 0,
            });
            viewer.socket.do_send(ToViewer::Close {
                code,
                reason: reason.name(),
            });
        }
    }

    /// When the actor stops otherwise than by [`finish`](Self::finish): a panic, or the arbiter's
    /// end.
    pub(super) fn clean_up_after_fault(&mut self) {
        if matches!(self.state.phase(), Phase::Ended(_)) {
            return;
        }
        tracing::error!(session.id = %self.id, "a session's actor stopped by a fault");
        let end = self.prepare_end(CloseReason::Fault);
        self.send_to_agent(gururmm_shared::ServerMessage::TunnelClose(
            gururmm_shared::TunnelClose {
                session_id: self.id,
                reason: Some("fault".to_owned()),
            },
        ));
        self.tell_viewers(CloseReason::Fault);
        self.agent.connection.do_send(ToConnection::Detach {
            session_id: self.id,
        });
        self.registry.do_send(SessionEnded {
            session_id: self.id,
            agent_id: self.agent.agent_id,
            status: CloseReason::Fault.status(),
        });
        let db = self.db.clone();
        actix::spawn(async move {
            match write(&db, &end).await {
                Ok(false) if end.commit_unknown => close_late_row(db, end).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "the end of a session was not written; the next start will");
                }
            }
        });
    }
}

/// Closes a row whose commit arrives after the answer to it was lost; it would keep the technician
/// from the agent until the server's next start.
async fn close_late_row(db: Db, end: End) {
    for _ in 0..COMMIT_TRIES {
        tokio::time::sleep(RETRY).await;
        match write(&db, &end).await {
            Ok(false) => {}
            Ok(true) => {
                tracing::warn!(session.id = %end.session_id, "a session that was written late is closed");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, session.id = %end.session_id, "a session that may be written late cannot be looked for yet");
            }
        }
    }
}

/// Writes the end; may be repeated. The close's own row comes first, so that no end is without one.
/// False where there was no open row.
async fn write(db: &Db, end: &End) -> Result<bool, DbError> {
    let now = audit::now();
    if let Some(row) = &end.close_row {
        match tunnel_audit::insert(db, row.clone()).await {
            // An earlier try has written it.
            Ok(()) | Err(DbError::Duplicate { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let reason = end.reason.name();
    let status = end.reason.status();
    let closed = tech_sessions::close(db, end.session_id, status, reason, now).await?;
    tunnel_audit::finish(db, end.open_audit, reason.to_owned(), None, now).await?;
    for ended in &end.ended {
        let outcome = ended.outcome.to_owned();
        tunnel_audit::finish(db, ended.audit_id, outcome, ended.exit_code, now).await?;
    }
    Ok(closed)
}
