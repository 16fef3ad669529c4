//! A session's streams and requests, with an agent's connection that does as it is told and both databases.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytes::Bytes;
use gururmm_shared::{
    AgentId, CAPABILITY_DATA_PLANE, CAPABILITY_FILES, CAPABILITY_SERVICES, ChannelId, ChannelKind,
    Closed, ErrorCode, FileRead, Frame, Opened, Operation, OperationError, Reply, ServerMessage,
    SessionId, TunnelData, TunnelPayload, TunnelRules, UserId,
};
use tokio::sync::{mpsc, oneshot};

use super::connection_messages::{AgentHandle, LastSeen, StreamRoute, ToConnection};
use super::session_messages::{CloseSession, FromAgent, SessionEnded};
use super::stream_messages::{OpenStream, Perform, StreamError};
use super::tunnel::{NewTunnel, TunnelSession};
use super::tunnel_tests::no_recordings;
use crate::config::TunnelSettings;
use crate::db::Db;
use crate::db::agents::{self, NewAgent};
use crate::db::testing::Scratch;
use crate::db::tunnel_audit::{self, Audit, AuditFilter};
use crate::db::users::{self, NewUser};
use crate::domain::close_reason::CloseReason;
use crate::services::audit::Caller;

/// What an agent does with what it is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It does it.
    Willing,
    /// It opens streams and says nothing more.
    Slow,
    /// It says nothing at all.
    Mute,
}

struct Agent {
    manner: Manner,
    tunnel: Option<Recipient<FromAgent>>,
    route: Option<StreamRoute>,
    heard: mpsc::Sender<ServerMessage>,
}

impl Actor for Agent {
    type Context = Context<Self>;
}

impl Agent {
    fn say(&self, channel_id: &ChannelId, data: TunnelPayload) {
        let channel_id = channel_id.clone();
        let data = FromAgent::Data(TunnelData { channel_id, data });
        self.tunnel.as_ref().unwrap().do_send(data);
    }

    fn on_open(&self, channel_id: &ChannelId) {
        if self.manner == Manner::Mute {
            return;
        }
        let opened = Opened {
            size: Some(3),
            ..Opened::default()
        };
        self.say(channel_id, TunnelPayload::Opened(opened));
        let Some(StreamRoute::Stream(stream)) = &self.route else {
            panic!("no route before the open");
        };
        let id = stream.id();
        let bytes = Bytes::from_static(b"abc");
        stream.on_frame(Frame::Data {
            stream: id,
            offset: 0,
            bytes,
        });
        if self.manner == Manner::Willing {
            stream.on_frame(Frame::Eof {
                stream: id,
                offset: 3,
            });
            self.say(channel_id, TunnelPayload::Closed(Closed::default()));
        }
    }

    fn on_request(&self, channel_id: &ChannelId, operation: &Operation) {
        if self.manner != Manner::Willing {
            return;
        }
        let reply = match operation {
            Operation::ServiceStartType { .. } => Reply::Replaced {
                before: Some("manual".to_owned()),
            },
            _ => Reply::Failed {
                error: OperationError::new(ErrorCode::NotFound, "no such service"),
            },
        };
        self.say(channel_id, TunnelPayload::Reply(Box::new(reply)));
    }
}

impl Handler<ToConnection> for Agent {
    type Result = ();

    fn handle(&mut self, message: ToConnection, _: &mut Self::Context) {
        match message {
            ToConnection::Attach { tunnel, .. } => self.tunnel = Some(tunnel),
            ToConnection::Route { route, .. } => self.route = Some(route),
            ToConnection::Send { message, .. } => {
                let tunnel = self.tunnel.as_ref().unwrap();
                match &message {
                    ServerMessage::TunnelOpen(_) => {
                        tunnel.do_send(FromAgent::Ready { consent: None })
                    }
                    ServerMessage::TunnelData(TunnelData { channel_id, data }) => match data {
                        TunnelPayload::Open(_) => self.on_open(channel_id),
                        TunnelPayload::Request(asked) => {
                            self.on_request(channel_id, &asked.operation);
                        }
                        _ => {}
                    },
                    _ => {}
                }
                self.heard.try_send(message).unwrap();
            }
            _ => {}
        }
    }
}

impl Handler<SessionEnded> for Agent {
    type Result = ();

    fn handle(&mut self, _: SessionEnded, _: &mut Self::Context) {}
}

struct Bench {
    db: Db,
    tunnel: Addr<TunnelSession>,
    caller: Caller,
    session_id: SessionId,
    heard: mpsc::Receiver<ServerMessage>,
}

async fn bench(db: &Db, manner: Manner, rules: TunnelRules, settings: TunnelSettings) -> Bench {
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
    let (said, heard) = mpsc::channel(64);
    let connection = Agent {
        manner,
        tunnel: None,
        route: None,
        heard: said,
    }
    .start();
    let seen = LastSeen::new(Instant::now());
    let mut handle = AgentHandle::new(
        agent.id,
        agent.hostname,
        connection.clone().recipient(),
        seen,
    );
    let capabilities = [CAPABILITY_DATA_PLANE, CAPABILITY_FILES, CAPABILITY_SERVICES];
    let capabilities: BTreeSet<_> = capabilities.map(str::to_owned).into();
    handle.capabilities = Arc::new(capabilities);
    let caller = Caller {
        key_id: None,
        user_id: user.id,
        email: user.email,
        remote_addr: "127.0.0.1".to_owned(),
        request_id: "r-1".to_owned(),
    };
    let (recordings, recording) = no_recordings(db);
    let (opened, opening) = oneshot::channel();
    let session_id = SessionId::generate();
    let tunnel = TunnelSession::new(NewTunnel {
        session_id,
        agent: handle,
        owner: caller.clone(),
        db: db.clone(),
        recordings,
        settings: Arc::new(settings),
        registry: connection.recipient(),
        token_version: user.token_version,
        rules,
        recording,
        max_session_seconds: None,
        consent: None,
        opened,
    })
    .start();
    opening.await.unwrap().unwrap();
    Bench {
        db: db.clone(),
        tunnel,
        caller,
        session_id,
        heard,
    }
}

impl Bench {
    fn read(&self) -> OpenStream {
        OpenStream {
            kind: ChannelKind::FileRead(FileRead {
                path: "/etc/hosts".to_owned(),
                offset: 0,
                length: None,
                version: None,
            }),
            caller: self.caller.clone(),
        }
    }

    async fn perform(&self, operation: Operation) -> Result<Reply, StreamError> {
        let caller = self.caller.clone();
        let asked = Perform { operation, caller };
        self.tunnel.send(asked).await.unwrap()
    }

    /// Waits for the only row of an action to be finished.
    async fn finished(&self, action: &str) -> Audit {
        let start = Instant::now();
        loop {
            let rows = self.rows(action).await;
            if let [row] = rows.as_slice()
                && row.outcome.is_some()
            {
                return row.clone();
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{rows:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn rows(&self, action: &str) -> Vec<Audit> {
        let filter = AuditFilter {
            session_id: Some(self.session_id),
            limit: 100,
            ..AuditFilter::default()
        };
        let mut rows = tunnel_audit::list(&self.db, filter).await.unwrap();
        rows.retain(|row| row.action == action);
        rows
    }
}

/// Runs a test on both databases.
fn on_both(test: impl AsyncFn(&Db)) {
    actix::System::new().block_on(async {
        for scratch in [Scratch::sqlite(), Scratch::postgres().await] {
            let db = Db::connect(&scratch.settings).await.unwrap();
            db.migrate().await.unwrap();
            test(&db).await;
            drop(db);
            scratch.remove().await;
        }
    });
}

#[test]
fn a_file_is_read_through_its_session_and_the_row_says_how_much_of_it() {
    on_both(async |db| {
        let rules = TunnelRules::default();
        let mut bench = bench(
            db,
            Manner::Willing,
            rules.clone(),
            TunnelSettings::default(),
        )
        .await;
        let open = bench.heard.recv().await.unwrap();
        let ServerMessage::TunnelOpen(open) = open else {
            panic!("{open:?}")
        };
        assert_eq!(open.rules, Some(rules), "the agent knows the rules");
        let stream = bench.tunnel.send(bench.read()).await.unwrap().unwrap();
        assert_eq!(stream.opened.size, Some(3));
        assert_eq!(stream.pipe.recv().await.unwrap().unwrap(), "abc");
        assert_eq!(stream.pipe.recv().await, Ok(None));
        assert_eq!(stream.pipe.closed().await, Closed::default());
        drop(stream);
        let row = bench.finished("file").await;
        assert_eq!(row.detail, "read /etc/hosts from 0");
        assert_eq!(row.outcome.as_deref(), Some("completed"));
        assert_eq!(row.bytes, Some(3));
    });
}

#[test]
fn a_stream_that_is_let_go_frees_its_place_and_its_row_says_so() {
    on_both(async |db| {
        let settings = TunnelSettings {
            max_channels: 1,
            ..TunnelSettings::default()
        };
        let bench = bench(db, Manner::Slow, TunnelRules::default(), settings).await;
        let stream = bench.tunnel.send(bench.read()).await.unwrap().unwrap();
        let second = bench.tunnel.send(bench.read()).await.unwrap();
        assert_eq!(second.unwrap_err(), StreamError::TooMany(1));
        drop(stream);
        let row = bench.finished("file").await;
        assert_eq!(row.outcome.as_deref(), Some("cancelled"));
        assert!(bench.tunnel.send(bench.read()).await.unwrap().is_ok());
    });
}

#[test]
fn the_end_of_the_session_ends_its_streams_and_whoever_waits_is_told() {
    on_both(async |db| {
        let bench = bench(
            db,
            Manner::Slow,
            TunnelRules::default(),
            TunnelSettings::default(),
        )
        .await;
        let stream = bench.tunnel.send(bench.read()).await.unwrap().unwrap();
        let waiting = bench.perform(Operation::ServiceList);
        let closing = bench.tunnel.send(CloseSession {
            reason: CloseReason::IdleTimeout,
            caller: None,
        });
        let (answer, closed) = tokio::join!(waiting, closing);
        closed.unwrap().unwrap();
        assert!(
            matches!(
                answer,
                Err(StreamError::Closed
                    | StreamError::Failed(OperationError {
                        code: ErrorCode::Gone,
                        ..
                    }))
            ),
            "{answer:?}"
        );
        let last = stream.pipe.closed().await;
        assert_eq!(last.error.map(|error| error.code), Some(ErrorCode::Gone));
        let row = bench.finished("file").await;
        assert_eq!(row.outcome.as_deref(), Some("cancelled"));
    });
}

#[test]
fn what_a_write_replaced_is_in_the_audit_and_a_failure_is_too() {
    on_both(async |db| {
        let bench = bench(
            db,
            Manner::Willing,
            TunnelRules::default(),
            TunnelSettings::default(),
        )
        .await;
        let set = Operation::ServiceStartType {
            name: "nginx".to_owned(),
            start_type: gururmm_shared::StartType::Disabled,
        };
        let reply = bench.perform(set).await.unwrap();
        assert!(matches!(reply, Reply::Replaced { .. }), "{reply:?}");
        let row = bench.finished("service").await;
        assert_eq!(row.before.as_deref(), Some("manual"));
        assert_eq!(row.detail, "set start of service nginx to disabled");
        let stat = Operation::FileStat {
            path: "/x".to_owned(),
        };
        let failed = bench.perform(stat).await.unwrap_err();
        assert!(matches!(failed, StreamError::Failed(_)), "{failed:?}");
        let row = bench.finished("file").await;
        assert_eq!(row.outcome.as_deref(), Some("not_found"));
    });
}

#[test]
fn an_agent_that_does_not_open_a_stream_in_time_is_told_to_drop_it() {
    on_both(async |db| {
        let settings = TunnelSettings {
            open_timeout_seconds: 1,
            ..TunnelSettings::default()
        };
        let bench = bench(db, Manner::Mute, TunnelRules::default(), settings).await;
        let opened = bench.tunnel.send(bench.read()).await.unwrap();
        assert_eq!(opened.unwrap_err(), StreamError::TimedOut(1));
        let row = bench.finished("file").await;
        assert_eq!(row.outcome.as_deref(), Some("timed_out"));
    });
}

#[test]
fn what_the_rules_or_the_agent_do_not_allow_is_not_even_asked() {
    on_both(async |db| {
        let rules = TunnelRules {
            features: vec![gururmm_shared::Feature::Registry],
            ..TunnelRules::default()
        };
        let bench = bench(db, Manner::Willing, rules, TunnelSettings::default()).await;
        let refused = bench.tunnel.send(bench.read()).await.unwrap().unwrap_err();
        assert!(matches!(refused, StreamError::Refused(_)), "{refused:?}");
        let key = r"HKLM\SOFTWARE".to_owned();
        let missing = bench.perform(Operation::RegistryList { key }).await;
        assert!(
            matches!(missing, Err(StreamError::Unsupported(_))),
            "{missing:?}"
        );
        assert!(bench.rows("file").await.is_empty());
        assert!(bench.rows("registry").await.is_empty());
    });
}
