//! Recordings through a session's actor: begun before the agent is asked, fed, finished, and required.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use actix::prelude::*;
use gururmm_shared::{
    Closed, Frame, KeptTerminal, StreamId, StreamPosition, TunnelPayload, UserId,
};

use super::connection_messages::ToConnection;
use super::session_messages::{
    AgentBack, FromAgent, LeftOpen, SessionEnded, SessionError, Unfinished,
};
use super::tunnel::TunnelSession;
use super::tunnel_terminal_tests::{ABLE, SIZE, Stage, on_a_database, recorded_stage};
use super::tunnel_tests::eventually;
use crate::config::TunnelSettings;
use crate::db::Db;
use crate::db::page::PageOf;
use crate::db::recordings::{self, Recording, RecordingFilter, RecordingSort};
use crate::db::tunnel_audit::{self, AuditFilter};
use crate::domain::policy::recording::{RecordingMode, RecordingRules};
use crate::services::audit::{self, Caller};
use crate::services::recordings::Recordings;

const REQUIRED: RecordingRules = RecordingRules {
    mode: RecordingMode::Output,
    required: true,
    keep_days: 1,
};

/// Who is told that a session has ended.
struct Registry;

impl Actor for Registry {
    type Context = Context<Self>;
}

impl Handler<SessionEnded> for Registry {
    type Result = ();

    fn handle(&mut self, _: SessionEnded, _: &mut Self::Context) {}
}

fn settings() -> TunnelSettings {
    TunnelSettings {
        resume_grace_seconds: 60,
        ..TunnelSettings::default()
    }
}

async fn stage(db: &Db, dir: &Path, rules: RecordingRules) -> Stage {
    let recordings = Recordings::new(db.clone(), dir);
    recorded_stage(db, settings(), (recordings, rules), &ABLE).await
}

/// The recordings of the stage's session, the oldest first.
async fn recorded(stage: &Stage) -> Vec<Recording> {
    let filter = RecordingFilter {
        session_id: Some(stage.session_id),
        ..RecordingFilter::default()
    };
    let page = PageOf {
        sort: RecordingSort::Started,
        descending: false,
        after: None,
        limit: 10,
    };
    recordings::list(&stage.db, filter, page).await.unwrap()
}

async fn states(stage: &Stage, wanted: &[&str]) {
    eventually("the recordings are in these states", async || {
        let rows = recorded(stage).await;
        let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
        states == wanted
    })
    .await;
}

fn file(dir: &Path, row: &Recording) -> String {
    fs::read_to_string(dir.join("recordings").join(&row.path)).unwrap()
}

#[test]
fn a_terminal_is_recorded_from_its_first_byte_to_its_last() {
    on_a_database(async |db| {
        let dir = tempfile::tempdir().unwrap();
        let mut stage = stage(db, dir.path(), REQUIRED).await;
        let (channel_id, stream) = stage.open().await;
        stage.print(stream, 0, "first ");
        stage.print(stream, 6, "last");
        stage.say(&channel_id, TunnelPayload::Closed(Closed::default()));
        states(&stage, &["complete"]).await;
        let row = recorded(&stage).await.remove(0);
        assert_eq!(row.channel_id, channel_id.as_str());
        let cast = file(dir.path(), &row);
        assert!(cast.contains("first ") && cast.contains("last"), "{cast}");
        stage.close().await;
    });
}

#[test]
fn a_terminal_that_cannot_be_recorded_is_refused_only_where_it_must_be() {
    on_a_database(async |db| {
        let dir = tempfile::tempdir().unwrap();
        // No folder can be made below it.
        fs::write(dir.path().join("recordings"), "").unwrap();
        let stage_of = |required| {
            stage(
                db,
                dir.path(),
                RecordingRules {
                    required,
                    ..REQUIRED
                },
            )
        };
        let refused = stage_of(true).await;
        let answer = refused.ask().await;
        assert!(
            matches!(answer, Err(SessionError::NotRecorded(_))),
            "{answer:?}"
        );
        eventually("the audit says that it was refused", async || {
            let filter = AuditFilter {
                session_id: Some(refused.session_id),
                limit: 10,
                ..AuditFilter::default()
            };
            let rows = tunnel_audit::list(&refused.db, filter).await.unwrap();
            rows.iter()
                .any(|row| row.outcome.as_deref() == Some("refused"))
        })
        .await;
        let mut open = stage_of(false).await;
        open.open().await;
        refused.close().await;
        open.close().await;
    });
}

#[test]
fn a_terminal_that_outlives_a_restart_goes_on_in_a_recording_of_its_own() {
    on_a_database(async |db| {
        let dir = tempfile::tempdir().unwrap();
        let mut stage = stage(db, dir.path(), REQUIRED).await;
        let (channel_id, stream) = stage.open().await;
        stage.print(stream, 0, "before");
        let row = stage.audit_of(&channel_id).await;
        stage.close().await;
        states(&stage, &["interrupted"]).await;

        let left = LeftOpen {
            session_id: stage.session_id,
            agent_id: stage.handle.agent_id,
            hostname: "ws-1".to_owned(),
            owner: Caller {
                key_id: None,
                user_id: UserId::generate(),
                email: "tech@example.com".to_owned(),
                remote_addr: String::new(),
                request_id: String::new(),
            },
            opened_at: audit::now(),
            idle_timeout_seconds: None,
            max_session_seconds: None,
            rules: gururmm_shared::TunnelRules::default(),
            recording: REQUIRED,
            unfinished: vec![Unfinished {
                audit_id: row.id,
                channel_id: row.channel_id,
                command_id: row.command_id,
            }],
        };
        let recordings = Recordings::new(db.clone(), dir.path());
        let registry = Registry.start().recipient();
        let settings = Arc::new(settings());
        let tunnel = TunnelSession::left_open(left, db.clone(), recordings, settings, registry);
        stage.tunnel = tunnel.start();
        let kept = KeptTerminal {
            channel_id: channel_id.clone(),
            program: "/bin/sh".to_owned(),
            size: SIZE,
            position: StreamPosition {
                stream,
                received: 0,
                limit: 65_536,
                sent: 6,
                first: 3,
            },
        };
        stage.tunnel.do_send(AgentBack {
            agent: stage.handle.clone(),
            terminals: vec![kept],
        });
        stage.print(stream, 3, "ore");
        stage.print(stream, 6, " and after");
        stage.say(&channel_id, TunnelPayload::Closed(Closed::default()));
        states(&stage, &["interrupted", "complete"]).await;
        let rows = recorded(&stage).await;
        assert!(file(dir.path(), &rows[0]).contains("before"));
        let again = file(dir.path(), &rows[1]);
        assert!(
            again.contains("ore") && again.contains(" and after"),
            "{again}"
        );
        stage.close().await;
    });
}

#[test]
fn the_agent_is_granted_what_the_recording_has_though_nobody_watches() {
    on_a_database(async |db| {
        let dir = tempfile::tempdir().unwrap();
        let mut stage = stage(db, dir.path(), REQUIRED).await;
        let (_, stream) = stage.open().await;
        let bytes = bytes::Bytes::from(vec![b'x'; 32 * 1024]);
        for offset in (0..256 * 1024).step_by(32 * 1024) {
            let bytes = bytes.clone();
            let frame = Frame::Data {
                stream,
                offset,
                bytes,
            };
            stage.tunnel.do_send(FromAgent::Frame(frame));
        }
        let granted = stage.agent.hear("a window", |heard| window(heard, stream));
        assert!(granted.await > 256 * 1024);
        stage.close().await;
    });
}

fn window(heard: &ToConnection, of: StreamId) -> Option<u64> {
    let ToConnection::Frame(frame) = heard else {
        return None;
    };
    match Frame::decode(frame.clone()).unwrap() {
        Frame::Window { stream, limit } if stream == of => Some(limit),
        _ => None,
    }
}
