//! What a pipe says to the agent and to the session.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{ChannelId, Closed, Feature, Frame, ResetCode, StreamId};
use tokio::sync::{mpsc, watch};

use super::{Direction, NewPipe, Pipe};
use crate::actors::connection_messages::ToConnection;
use crate::actors::stream_messages::LetGo;

/// An agent's connection and a session that write down what they hear.
struct Ear {
    frames: mpsc::Sender<Frame>,
    let_go: mpsc::Sender<&'static str>,
}

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<ToConnection> for Ear {
    type Result = ();

    fn handle(&mut self, message: ToConnection, _: &mut Self::Context) {
        if let ToConnection::Frame(bytes) = message {
            self.frames.try_send(Frame::decode(bytes).unwrap()).unwrap();
        }
    }
}

impl Handler<LetGo> for Ear {
    type Result = ();

    fn handle(&mut self, message: LetGo, _: &mut Self::Context) {
        self.let_go.try_send(message.outcome).unwrap();
    }
}

struct Bench {
    pipe: Pipe,
    stream: Arc<ByteStream>,
    closed: watch::Sender<Option<Closed>>,
    frames: mpsc::Receiver<Frame>,
    let_go: mpsc::Receiver<&'static str>,
}

fn bench(direction: Direction, send_limit: u64) -> Bench {
    let (frames, heard) = mpsc::channel(64);
    let (let_go, ends) = mpsc::channel(8);
    let ear = Ear { frames, let_go }.start();
    let stream = Arc::new(ByteStream::new(StreamId(1), 1024, send_limit, 0));
    let (closed, last_word) = watch::channel(None);
    let pipe = Pipe::new(NewPipe {
        channel_id: ChannelId::of(Feature::Files, 1),
        direction,
        stream: Arc::clone(&stream),
        connection: ear.clone().recipient(),
        closed: last_word,
        session: ear.recipient(),
        lane: None,
    });
    Bench {
        pipe,
        stream,
        closed,
        frames: heard,
        let_go: ends,
    }
}

async fn next<T>(queue: &mut mpsc::Receiver<T>) -> T {
    let next = tokio::time::timeout(Duration::from_secs(10), queue.recv());
    next.await.unwrap().unwrap()
}

#[actix::test]
async fn a_pipe_that_is_dropped_midway_cuts_its_stream_off_and_says_so() {
    let mut bench = bench(Direction::Down, 0);
    drop(bench.pipe);
    let frame = next(&mut bench.frames).await;
    assert!(
        matches!(
            frame,
            Frame::Reset {
                code: ResetCode::Cancelled,
                ..
            }
        ),
        "{frame:?}"
    );
    assert_eq!(next(&mut bench.let_go).await, "cancelled");
}

#[actix::test]
async fn a_pipe_that_was_read_to_its_end_is_left_to_the_agents_last_word() {
    let mut bench = bench(Direction::Down, 0);
    let stream = StreamId(1);
    let data = Frame::Data {
        stream,
        offset: 0,
        bytes: Bytes::from_static(b"abc"),
    };
    assert_eq!(bench.stream.on_frame(data), None);
    assert_eq!(
        bench.stream.on_frame(Frame::Eof { stream, offset: 3 }),
        None
    );
    assert_eq!(bench.pipe.recv().await.unwrap().unwrap(), "abc");
    assert_eq!(bench.pipe.recv().await, Ok(None));
    drop(bench.pipe);
    assert!(bench.let_go.recv().await.is_none(), "nothing was let go");
    assert!(bench.frames.try_recv().is_err());
    assert!(bench.closed.is_closed());
}

#[actix::test]
async fn a_pipe_sends_no_more_than_the_agent_has_granted() {
    let mut bench = bench(Direction::Up, 2);
    let stream = Arc::clone(&bench.stream);
    let pipe = bench.pipe;
    let sending = async {
        pipe.send(Bytes::from_static(b"abcd")).await.unwrap();
        pipe.finish();
    };
    let granting = async {
        let first = next(&mut bench.frames).await;
        assert!(
            matches!(&first, Frame::Data { bytes, .. } if bytes == "ab"),
            "{first:?}"
        );
        assert!(bench.frames.try_recv().is_err());
        let more = Frame::Window {
            stream: StreamId(1),
            limit: 4,
        };
        assert_eq!(stream.on_frame(more), None);
        let rest = next(&mut bench.frames).await;
        assert!(matches!(&rest, Frame::Data { offset: 2, bytes, .. } if bytes == "cd"));
        assert!(matches!(
            next(&mut bench.frames).await,
            Frame::Eof { offset: 4, .. }
        ));
    };
    tokio::join!(sending, granting);
    assert_eq!(pipe.sent(), 4);
}

#[actix::test]
async fn why_a_stream_was_cut_off_is_the_agents_word() {
    let bench = bench(Direction::Up, 0);
    let error = gururmm_shared::OperationError::new(
        gururmm_shared::ErrorCode::DiskFull,
        "no space left on the disk",
    );
    bench
        .closed
        .send_replace(Some(Closed::failed(error.clone())));
    let _ = bench.stream.reset(ResetCode::Failed, "closed");
    let reset = bench.pipe.send(Bytes::from_static(b"a")).await.unwrap_err();
    assert_eq!(bench.pipe.why(&reset).await, error);
}
