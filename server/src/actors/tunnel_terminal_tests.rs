//! Terminals through a session's actor: audit before effect, bytes both ways, ends, and lost lines.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytes::Bytes;
use gururmm_shared::{
    CAPABILITY_DATA_PLANE, CAPABILITY_RESUME, CAPABILITY_TERMINAL, ChannelId, Closed, ErrorCode,
    Frame, KeptTerminal, OpenChannel, Opened, OperationError, ResetCode, ServerMessage, SessionId,
    StreamId, StreamMessage, StreamPosition, TerminalOptions, TerminalSize, TunnelData,
    TunnelPayload, UserId, close_code,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::connection_messages::{AgentHandle, LastSeen, ToConnection};
use super::session_messages::{
    AgentBack, AttachViewer, CloseSession, FromAgent, FromViewer, Onlooker, OpenTerminal,
    SessionError, TerminalStarted, ToViewer,
};
use super::tunnel::TunnelSession;
use super::tunnel_tests::{a_recorded_session, eventually, no_recordings};
use crate::config::TunnelSettings;
use crate::db::Db;
use crate::db::testing::Scratch;
use crate::db::tunnel_audit::{self, Audit, AuditFilter};
use crate::domain::close_reason::CloseReason;
use crate::domain::policy::recording::RecordingRules;
use crate::domain::terminal_input::ViewerKey;
use crate::domain::terminals::Watch;
use crate::domain::viewers::ViewerNumber;
use crate::services::audit::Caller;
use crate::services::recordings::Recordings;

pub(super) const SIZE: TerminalSize = TerminalSize { cols: 80, rows: 24 };

/// An agent's connection: it says yes to sessions and tells the test what else it hears.
struct Machine {
    tunnel: Option<Recipient<FromAgent>>,
    heard: mpsc::Sender<ToConnection>,
}

impl Actor for Machine {
    type Context = Context<Self>;
}

impl Handler<ToConnection> for Machine {
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
            ToConnection::Send {
                message: ServerMessage::TunnelClose(_),
                ..
            } => {
                if let Some(tunnel) = &self.tunnel {
                    tunnel.do_send(FromAgent::Closed {
                        reason: "as told".to_owned(),
                        consent: None,
                    });
                }
            }
            other => self.heard.try_send(other).unwrap(),
        }
    }
}

/// A viewer's socket that takes everything at once.
struct Browser {
    number: Option<ViewerNumber>,
    tunnel: Addr<TunnelSession>,
    heard: mpsc::Sender<Seen>,
}

#[derive(Debug)]
enum Seen {
    Message(StreamMessage),
    Frame(Frame),
    Closed(u16),
}

impl Actor for Browser {
    type Context = Context<Self>;
}

impl Handler<ToViewer> for Browser {
    type Result = ();

    fn handle(&mut self, message: ToViewer, _: &mut Self::Context) {
        let (seen, bytes) = match message {
            ToViewer::Attached(number) => {
                self.number = Some(number);
                return;
            }
            ToViewer::Text { text, .. } => {
                (Seen::Message(StreamMessage::decode(&text).unwrap()), 0)
            }
            ToViewer::Word { text, bytes } => {
                (Seen::Message(StreamMessage::decode(&text).unwrap()), bytes)
            }
            ToViewer::Frame { frame, bytes } => (Seen::Frame(Frame::decode(frame).unwrap()), bytes),
            ToViewer::Close { code, .. } => (Seen::Closed(code), 0),
        };
        if let Some(number) = self.number {
            self.tunnel.do_send(FromViewer::Taken(number, bytes));
        }
        self.heard.try_send(seen).unwrap();
    }
}

#[derive(Message)]
#[rtype(result = "ViewerNumber")]
struct Number;

impl Handler<Number> for Browser {
    type Result = MessageResult<Number>;

    fn handle(&mut self, _: Number, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.number.unwrap())
    }
}

/// What a test looks through.
pub(super) struct Ear<T>(mpsc::Receiver<T>);

impl<T> Ear<T> {
    /// Skips what comes until `pick` takes something.
    pub(super) async fn hear<P>(&mut self, what: &str, mut pick: impl FnMut(&T) -> Option<P>) -> P {
        let listen = async {
            loop {
                let heard = self.0.recv().await.expect(what);
                if let Some(found) = pick(&heard) {
                    return found;
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(10), listen).await;
        heard.unwrap_or_else(|_| panic!("{what} does not come"))
    }
}

impl Ear<ToConnection> {
    async fn open(&mut self) -> (ChannelId, OpenChannel) {
        self.hear("open", |heard| match heard {
            ToConnection::Send {
                message:
                    ServerMessage::TunnelData(TunnelData {
                        channel_id,
                        data: TunnelPayload::Open(open),
                    }),
                ..
            } => Some((channel_id.clone(), open.as_ref().clone())),
            _ => None,
        })
        .await
    }

    async fn typed(&mut self) -> Bytes {
        self.hear("input", |heard| match heard {
            ToConnection::Frame(frame) => match Frame::decode(frame.clone()).unwrap() {
                Frame::Data { bytes, .. } => Some(bytes),
                _ => None,
            },
            _ => None,
        })
        .await
    }
}

impl Ear<Seen> {
    async fn message<P>(&mut self, what: &str, pick: impl Fn(&StreamMessage) -> Option<P>) -> P {
        self.hear(what, |seen| match seen {
            Seen::Message(message) => pick(message),
            _ => None,
        })
        .await
    }

    async fn frame<P>(&mut self, what: &str, pick: impl Fn(&Frame) -> Option<P>) -> P {
        self.hear(what, |seen| match seen {
            Seen::Frame(frame) => pick(frame),
            _ => None,
        })
        .await
    }

    async fn data(&mut self) -> (u64, Bytes) {
        self.frame("data", |frame| match frame {
            Frame::Data { offset, bytes, .. } => Some((*offset, bytes.clone())),
            _ => None,
        })
        .await
    }
}

/// A session, its agent and what the agent hears.
pub(super) struct Stage {
    pub(super) db: Db,
    pub(super) tunnel: Addr<TunnelSession>,
    pub(super) session_id: SessionId,
    pub(super) agent: Ear<ToConnection>,
    pub(super) handle: AgentHandle,
}

fn machine() -> (Recipient<ToConnection>, Ear<ToConnection>) {
    let (heard, ear) = mpsc::channel(1000);
    let tunnel = None;
    let machine = Machine { tunnel, heard }.start();
    (machine.recipient(), Ear(ear))
}

async fn stage(db: &Db, settings: TunnelSettings, capabilities: &[&str]) -> Stage {
    recorded_stage(db, settings, no_recordings(db), capabilities).await
}

pub(super) async fn recorded_stage(
    db: &Db,
    settings: TunnelSettings,
    recordings: (Recordings, RecordingRules),
    capabilities: &[&str],
) -> Stage {
    let (connection, agent) = machine();
    let capabilities: BTreeSet<String> = capabilities.iter().map(ToString::to_string).collect();
    let mut made = None;
    let (tunnel, session_id) = a_recorded_session(db, settings, recordings, |id, hostname| {
        let seen = LastSeen::new(Instant::now());
        let mut handle = AgentHandle::new(id, hostname, connection, seen);
        handle.confirms_close = true;
        handle.capabilities = Arc::new(capabilities);
        made = Some(handle.clone());
        handle
    })
    .await;
    Stage {
        db: db.clone(),
        tunnel,
        session_id,
        agent,
        handle: made.unwrap(),
    }
}

impl Stage {
    pub(super) fn ask(
        &self,
    ) -> impl Future<Output = Result<TerminalStarted, SessionError>> + use<> {
        let open = OpenTerminal {
            options: TerminalOptions {
                size: SIZE,
                ..TerminalOptions::default()
            },
            caller: Caller {
                key_id: None,
                user_id: UserId::generate(),
                email: "tech@example.com".to_owned(),
                remote_addr: "127.0.0.1".to_owned(),
                request_id: "r-2".to_owned(),
            },
        };
        let asked = self.tunnel.send(open);
        async move { asked.await.unwrap() }
    }

    pub(super) fn say(&self, channel_id: &ChannelId, data: TunnelPayload) {
        self.tunnel.do_send(FromAgent::Data(TunnelData {
            channel_id: channel_id.clone(),
            data,
        }));
    }

    /// Opens a terminal; the agent says yes.
    pub(super) async fn open(&mut self) -> (ChannelId, StreamId) {
        let asked = actix::spawn(self.ask());
        let (channel_id, open) = self.agent.open().await;
        let opened = Opened {
            window: 65_536,
            program: Some("/bin/bash".to_owned()),
            ..Opened::default()
        };
        self.say(&channel_id, TunnelPayload::Opened(opened));
        let started = asked.await.unwrap().unwrap();
        assert_eq!(
            (started.stream, started.program.as_str()),
            (open.stream, "/bin/bash")
        );
        (channel_id, open.stream)
    }

    async fn watch(&self, watch: Watch) -> (ViewerNumber, Ear<Seen>) {
        let (heard, ear) = mpsc::channel(1000);
        let browser = Browser {
            number: None,
            tunnel: self.tunnel.clone(),
            heard,
        };
        let browser = browser.start();
        let attach = AttachViewer {
            viewer: browser.clone().recipient(),
            from: 0,
            who: Onlooker {
                user_id: UserId::generate(),
                name: "Someone".to_owned(),
                read_only: watch.read_only,
            },
            terminals: Some(watch),
        };
        self.tunnel.send(attach).await.unwrap().unwrap();
        (browser.send(Number).await.unwrap(), Ear(ear))
    }

    fn type_in(&self, number: ViewerNumber, stream: StreamId, offset: u64, text: &'static str) {
        let bytes = Bytes::from_static(text.as_bytes());
        let frame = Frame::Data {
            stream,
            offset,
            bytes,
        };
        self.tunnel.do_send(FromViewer::Frame(number, frame));
    }

    pub(super) fn print(&self, stream: StreamId, offset: u64, text: &'static str) {
        let bytes = Bytes::from_static(text.as_bytes());
        self.tunnel.do_send(FromAgent::Frame(Frame::Data {
            stream,
            offset,
            bytes,
        }));
    }

    pub(super) async fn audit_of(&self, channel_id: &ChannelId) -> Audit {
        let filter = AuditFilter {
            session_id: Some(self.session_id),
            limit: 100,
            ..AuditFilter::default()
        };
        let rows = tunnel_audit::list(&self.db, filter).await.unwrap();
        let is = |row: &Audit| row.channel_id.as_deref() == Some(channel_id.as_str());
        rows.into_iter().find(is).expect("it is in the audit")
    }

    async fn outcome(&self, channel_id: &ChannelId, outcome: &str) {
        eventually("its audit row is finished", async || {
            self.audit_of(channel_id).await.outcome.as_deref() == Some(outcome)
        })
        .await;
    }

    pub(super) async fn close(&self) {
        let close = CloseSession {
            reason: CloseReason::ServerStopped,
            caller: None,
        };
        // It may have ended by itself.
        let _ = self.tunnel.send(close).await;
    }
}

pub(super) const ABLE: [&str; 3] = [
    CAPABILITY_DATA_PLANE,
    CAPABILITY_TERMINAL,
    CAPABILITY_RESUME,
];

/// Runs a test's body on a database of its own.
pub(super) fn on_a_database(test: impl AsyncFn(&Db)) {
    actix::System::new().block_on(async {
        let scratch = Scratch::sqlite();
        let db = Db::connect(&scratch.settings).await.unwrap();
        db.migrate().await.unwrap();
        test(&db).await;
        drop(db);
        scratch.remove().await;
    });
}

fn patience(seconds: u32) -> TunnelSettings {
    TunnelSettings {
        open_timeout_seconds: seconds,
        ..TunnelSettings::default()
    }
}

#[test]
fn a_terminal_opens_after_its_audit_row_and_bytes_go_both_ways() {
    on_a_database(async |db| {
        let mut stage = stage(db, TunnelSettings::default(), &ABLE).await;
        let (number, mut viewer) = stage.watch(Watch::default()).await;
        let asked = actix::spawn(stage.ask());
        let (channel_id, open) = stage.agent.open().await;
        // The agent hears of it only now, and the row is there.
        let row = stage.audit_of(&channel_id).await;
        assert_eq!(row.outcome, None);
        assert!(row.detail.contains("\"cols\":80"), "{}", row.detail);
        let opened = Opened {
            window: 100,
            ..Opened::default()
        };
        stage.say(&channel_id, TunnelPayload::Opened(opened));
        let started = asked.await.unwrap().unwrap();
        let opened = viewer
            .message("terminal_opened", |message| match message {
                StreamMessage::TerminalOpened(opened) => Some(opened.clone()),
                _ => None,
            })
            .await;
        assert_eq!(
            (opened.stream, opened.holder),
            (started.stream, Some(number))
        );
        stage.print(open.stream, 0, "$ ");
        assert_eq!(viewer.data().await, (0, Bytes::from_static(b"$ ")));
        stage.type_in(number, open.stream, 0, "ls\n");
        assert_eq!(stage.agent.typed().await, "ls\n");
        let eof = Frame::Eof {
            stream: open.stream,
            offset: 2,
        };
        stage.tunnel.do_send(FromAgent::Frame(eof));
        let closed = Closed {
            exit_code: Some(0),
            ..Closed::default()
        };
        stage.say(&channel_id, TunnelPayload::Closed(closed));
        let exit_code = viewer
            .message("terminal_closed", |message| match message {
                StreamMessage::TerminalClosed(closed) => Some(closed.exit_code),
                _ => None,
            })
            .await;
        assert_eq!(exit_code, Some(0));
        stage.outcome(&channel_id, "completed").await;
        stage.close().await;
    });
}

#[test]
fn a_terminal_that_does_not_open_says_why_and_the_audit_too() {
    on_a_database(async |db| {
        let mut able = stage(db, patience(1), &ABLE).await;
        let asked = actix::spawn(able.ask());
        let (refused, _) = able.agent.open().await;
        let error = OperationError::new(ErrorCode::NotAllowed, "the policy says no");
        able.say(
            &refused,
            TunnelPayload::Closed(Closed::failed(error.clone())),
        );
        let answer = asked.await.unwrap();
        assert_eq!(answer, Err(SessionError::Refused(error)));
        able.outcome(&refused, "refused").await;
        let asked = actix::spawn(able.ask());
        let (silent, _) = able.agent.open().await;
        assert_eq!(asked.await.unwrap(), Err(SessionError::NotAnswered(1)));
        able.outcome(&silent, "timed_out").await;
        able.close().await;

        let unable = stage(db, TunnelSettings::default(), &[CAPABILITY_DATA_PLANE]).await;
        assert_eq!(unable.ask().await, Err(SessionError::AgentCannot));
        unable.close().await;
    });
}

#[test]
fn as_many_terminals_as_may_be_are_open_and_no_more() {
    on_a_database(async |db| {
        let settings = TunnelSettings {
            max_channels: 2,
            ..TunnelSettings::default()
        };
        let mut stage = stage(db, settings, &ABLE).await;
        let (first, _) = stage.open().await;
        stage.open().await;
        assert_eq!(stage.ask().await, Err(SessionError::TooManyChannels(2)));
        stage.say(&first, TunnelPayload::Closed(Closed::default()));
        stage.open().await;
        stage.close().await;
    });
}

#[test]
fn the_end_of_the_session_is_the_end_of_its_terminals() {
    on_a_database(async |db| {
        let mut stage = stage(db, TunnelSettings::default(), &ABLE).await;
        let (channel_id, stream) = stage.open().await;
        let (_, mut viewer) = stage.watch(Watch::default()).await;
        stage.close().await;
        let reset = viewer
            .frame("reset", |frame| match frame {
                Frame::Reset { code, stream, .. } => Some((*code, *stream)),
                _ => None,
            })
            .await;
        assert_eq!(reset, (ResetCode::Gone, stream));
        viewer
            .message("terminal_closed", |message| {
                matches!(message, StreamMessage::TerminalClosed(_)).then_some(())
            })
            .await;
        stage.outcome(&channel_id, "interrupted").await;
    });
}

#[test]
fn a_viewer_that_comes_back_by_its_name_takes_the_place_of_its_old_socket() {
    on_a_database(async |db| {
        let mut stage = stage(db, TunnelSettings::default(), &ABLE).await;
        let (_, stream) = stage.open().await;
        let watch = Watch {
            key: Some(ViewerKey {
                user_id: UserId::generate(),
                id: Uuid::now_v7(),
            }),
            from: Some(0),
            ..Watch::default()
        };
        let (old, mut old_ear) = stage.watch(watch.clone()).await;
        stage.type_in(old, stream, 0, "abc");
        assert_eq!(stage.agent.typed().await, "abc");
        let (new, mut new_ear) = stage.watch(watch).await;
        let code = old_ear
            .hear("the end of the old socket", |seen| match seen {
                Seen::Closed(code) => Some(*code),
                _ => None,
            })
            .await;
        assert_eq!(code, close_code::REPLACED);
        let opened = new_ear
            .message("terminal_opened", |message| match message {
                StreamMessage::TerminalOpened(opened) => Some(opened.clone()),
                _ => None,
            })
            .await;
        assert_eq!((opened.input_received, opened.holder), (3, Some(new)));
        stage.type_in(new, stream, 3, "d");
        assert_eq!(stage.agent.typed().await, "d");
        stage.close().await;
    });
}

#[test]
fn a_session_goes_on_over_the_next_connection_of_its_agent() {
    on_a_database(async |db| {
        let settings = TunnelSettings {
            resume_grace_seconds: 600,
            ..TunnelSettings::default()
        };
        let mut stage = stage(db, settings, &ABLE).await;
        let (channel_id, stream) = stage.open().await;
        let (number, mut viewer) = stage.watch(Watch::default()).await;
        stage.print(stream, 0, "one");
        assert_eq!(viewer.data().await.0, 0);
        stage.tunnel.do_send(FromAgent::Gone);
        viewer
            .message("suspended", |message| {
                matches!(message, StreamMessage::Suspended(_)).then_some(())
            })
            .await;
        assert_eq!(stage.ask().await, Err(SessionError::Suspended));
        stage.type_in(number, stream, 0, "typed");

        let (connection, mut agent) = machine();
        let mut handle = AgentHandle::new(
            stage.handle.agent_id,
            stage.handle.hostname.clone(),
            connection,
            LastSeen::new(Instant::now()),
        );
        handle.capabilities = stage.handle.capabilities.clone();
        let terminals = vec![KeptTerminal {
            channel_id: channel_id.clone(),
            program: "/bin/bash".to_owned(),
            size: SIZE,
            position: StreamPosition {
                stream,
                received: 0,
                limit: 65_536,
                sent: 6,
                first: 0,
            },
        }];
        let agent_back = AgentBack {
            agent: handle.clone(),
            terminals,
        };
        stage.tunnel.do_send(agent_back);
        let streams = agent
            .hear("tunnel_resume", |heard| match heard {
                ToConnection::Send {
                    message: ServerMessage::TunnelResume(resume),
                    ..
                } => Some(resume.streams.clone()),
                _ => None,
            })
            .await;
        assert_eq!((streams[0].stream, streams[0].received), (stream, 3));
        assert_eq!(agent.typed().await, "typed");
        viewer
            .message("resumed", |message| {
                matches!(message, StreamMessage::Resumed).then_some(())
            })
            .await;
        stage.print(stream, 3, "two");
        assert_eq!(viewer.data().await, (3, Bytes::from_static(b"two")));
        // What is opened now has numbers of its own.
        assert!(handle.next_stream() > stream);
        assert_ne!(handle.next_channel(), channel_id);
        stage.agent = agent;
        stage.close().await;
    });
}

#[test]
fn a_session_whose_agent_did_not_keep_it_or_does_not_come_ends() {
    on_a_database(async |db| {
        let settings = TunnelSettings {
            resume_grace_seconds: 1,
            ..TunnelSettings::default()
        };
        for comes_back in [true, false] {
            let mut stage = stage(db, settings.clone(), &ABLE).await;
            let (channel_id, _) = stage.open().await;
            stage.tunnel.do_send(FromAgent::Gone);
            if comes_back {
                stage.tunnel.do_send(FromAgent::Forgotten);
            }
            eventually("the session has ended", async || !stage.tunnel.connected()).await;
            stage.outcome(&channel_id, "lost").await;
        }
    });
}
