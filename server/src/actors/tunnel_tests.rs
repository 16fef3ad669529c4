//! What a session keeps of viewers that are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use gururmm_shared::{AgentId, ServerMessage, SessionId, TunnelRules, UserId};
use tokio::sync::oneshot;

use super::connection_messages::{AgentHandle, LastSeen, ToConnection};
use super::session_messages::{
    AttachViewer, CloseSession, FromAgent, Onlooker, SessionEnded, SessionError, ToViewer,
};
use super::tunnel::{NewTunnel, TunnelSession};
use crate::config::TunnelSettings;
use crate::db::agents::{self, NewAgent};
use crate::db::testing::Scratch;
use crate::db::users::{self, NewUser};
use crate::db::{Db, tech_sessions};
use crate::domain::close_reason::CloseReason;
use crate::domain::policy::recording::{RecordingPolicy, RecordingRules};
use crate::services::audit::Caller;
use crate::services::recordings::Recordings;

/// An agent's connection that says yes to every session, and a viewer that only is there.
#[derive(Default)]
struct Peer {
    tunnel: Option<Recipient<FromAgent>>,
}

impl Actor for Peer {
    type Context = Context<Self>;
}

impl Handler<ToConnection> for Peer {
    type Result = ();

    fn handle(&mut self, message: ToConnection, _: &mut Self::Context) {
        match message {
            ToConnection::Attach { tunnel, .. } => self.tunnel = Some(tunnel),
            ToConnection::Send {
                message: ServerMessage::TunnelOpen(_),
                ..
            } => {
                if let Some(tunnel) = &self.tunnel {
                    tunnel.do_send(FromAgent::Ready { consent: None });
                }
            }
            _ => {}
        }
    }
}

impl Handler<SessionEnded> for Peer {
    type Result = ();

    fn handle(&mut self, _: SessionEnded, _: &mut Self::Context) {}
}

impl Handler<ToViewer> for Peer {
    type Result = ();

    fn handle(&mut self, _: ToViewer, _: &mut Self::Context) {}
}

#[derive(Message)]
#[rtype(result = "()")]
struct Leave;

impl Handler<Leave> for Peer {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Repeats `condition` until it holds.
pub(super) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_ready_session(db: &Db, settings: TunnelSettings) -> (Addr<TunnelSession>, SessionId) {
    let connection = Peer::default().start().recipient();
    let connect =
        |id, hostname| AgentHandle::new(id, hostname, connection, LastSeen::new(Instant::now()));
    a_session_with(db, settings, connect).await
}

/// Recordings that nobody makes.
pub(super) fn no_recordings(db: &Db) -> (Recordings, RecordingRules) {
    let recordings = Recordings::new(db.clone(), &std::env::temp_dir());
    (recordings, RecordingPolicy::default().rules())
}

/// A session with the agent that `connect` makes, which says yes.
pub(super) async fn a_session_with(
    db: &Db,
    settings: TunnelSettings,
    connect: impl FnOnce(AgentId, String) -> AgentHandle,
) -> (Addr<TunnelSession>, SessionId) {
    a_recorded_session(db, settings, no_recordings(db), connect).await
}

/// The same, whose terminals are recorded.
pub(super) async fn a_recorded_session(
    db: &Db,
    settings: TunnelSettings,
    (recordings, recording): (Recordings, RecordingRules),
    connect: impl FnOnce(AgentId, String) -> AgentHandle,
) -> (Addr<TunnelSession>, SessionId) {
    let user = NewUser {
        email: format!("{}@example.com", UserId::generate()),
        name: "Someone".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        role: "technician".to_owned(),
    };
    let user = users::insert(db, user).await.unwrap();
    let agent = NewAgent {
        device_id: AgentId::generate().to_string(),
        hostname: "ws-1".to_owned(),
        os_family: "linux".to_owned(),
        protocol: 2,
        ..NewAgent::default()
    };
    let agent = agents::enroll(db, agent).await.unwrap();
    let (opened, opening) = oneshot::channel();
    let session_id = SessionId::generate();
    let new = NewTunnel {
        session_id,
        agent: connect(agent.id, agent.hostname),
        owner: Caller {
            key_id: None,
            user_id: user.id,
            email: user.email,
            remote_addr: "127.0.0.1".to_owned(),
            request_id: "r-1".to_owned(),
        },
        db: db.clone(),
        recordings,
        settings: Arc::new(settings),
        registry: Peer::default().start().recipient(),
        token_version: user.token_version,
        rules: TunnelRules::default(),
        recording,
        max_session_seconds: None,
        consent: None,
        opened,
    };
    let tunnel = TunnelSession::new(new).start();
    opening.await.unwrap().unwrap();
    (tunnel, session_id)
}

async fn attach(tunnel: &Addr<TunnelSession>, viewer: &Addr<Peer>) -> Result<(), SessionError> {
    let viewer = viewer.clone().recipient();
    let who = Onlooker {
        user_id: UserId::generate(),
        name: "Someone".to_owned(),
        read_only: false,
    };
    let attach = AttachViewer {
        viewer,
        from: 0,
        who,
        terminals: None,
    };
    tunnel.send(attach).await.unwrap()
}

#[test]
fn a_viewer_that_left_before_it_was_attached_gives_its_place_back() {
    actix::System::new().block_on(async {
        for scratch in [Scratch::sqlite(), Scratch::postgres().await] {
            let db = Db::connect(&scratch.settings).await.unwrap();
            db.migrate().await.unwrap();
            let settings = TunnelSettings {
                max_viewers: 1,
                // So long that it is not let go for taking nothing.
                viewer_stall_seconds: 600,
                ..TunnelSettings::default()
            };
            let (tunnel, session_id) = a_ready_session(&db, settings).await;
            let gone = Peer::default().start();
            gone.send(Leave).await.unwrap();
            eventually("the viewer has left", async || !gone.connected()).await;
            // It asked before it left; it can never say goodbye, for it never heard its number.
            attach(&tunnel, &gone).await.unwrap();
            let next = Peer::default().start();
            let full = attach(&tunnel, &next).await;
            assert_eq!(full, Err(SessionError::TooManyViewers(1)));
            eventually("its place is free", async || {
                attach(&tunnel, &next).await.is_ok()
            })
            .await;
            let reason = CloseReason::ServerStopped;
            let close = CloseSession {
                reason,
                caller: None,
            };
            tunnel.send(close).await.unwrap().unwrap();
            let row = tech_sessions::by_session_id(&db, session_id).await.unwrap();
            assert_eq!(row.unwrap().status, "closed");
            drop(db);
            scratch.remove().await;
        }
    });
}
