//! A TCP connection of a machine as a WebSocket: binary messages are its bytes, both ways.
//!
//! No actor: one would read and write by turns, and while the agent's window is closed it has to go on writing, or
//! both ends wait for each other. Each way is a loop of its own here, and waits only for its own two ends:
//!
//! ```text
//!   client ──frames──▶ Reader ──send: waits for the agent's window──▶ Pipe
//!          ◀──body, as the socket takes it── Writer ◀──recv───────── Pipe
//!                          Reader ──Word──▶ Writer
//! ```

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use actix_http::ws::{OpCode, Parser};
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actix_web_actors::ws::{CloseCode, CloseReason, handshake};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use gururmm_shared::frame::MAX_FRAME_BYTES;
use gururmm_shared::{ErrorCode, OperationError, ResetCode, close_code};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::frame_guard::{FrameGuard, GuardState, Violation, close_of};
use crate::actors::pipe::Pipe;

const PING_INTERVAL: Duration = Duration::from_secs(15);
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a peer may take to answer our close frame.
const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// Words that wait for the writer; of more pings than that some are not answered.
const WORDS: usize = 8;
/// The longest reason of a close frame (RFC 6455 section 5.5).
const REASON_BYTES: usize = 123;
/// The end of one way, as a text message.
const EOF: &str = r#"{"type":"eof"}"#;

/// What the reader has the writer say.
enum Word {
    Pong(Bytes),
    Close(u16, String),
}

/// Refuses a request that is no WebSocket handshake.
///
/// # Errors
/// What is wrong with it.
pub fn check(request: &HttpRequest) -> Result<(), actix_web::Error> {
    handshake(request).map(drop).map_err(Into::into)
}

/// Turns an admitted request into a connection of its own.
///
/// # Errors
/// The request is no WebSocket handshake.
pub fn start(
    request: &HttpRequest,
    payload: Payload,
    pipe: Pipe,
) -> Result<HttpResponse, actix_web::Error> {
    let mut response = handshake(request)?;
    let guard = GuardState::new(MAX_FRAME_BYTES as u64);
    guard.allow_binary();
    let pipe = Rc::new(pipe);
    let (words, said) = mpsc::channel(WORDS);
    let (alive, gone) = oneshot::channel();
    let reader = Reader {
        payload: FrameGuard::new(payload, guard.clone()),
        guard,
        buffer: BytesMut::new(),
        pipe: Rc::clone(&pipe),
        words,
        over: false,
    };
    actix_web::rt::spawn(reader.run(gone));
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let writer = Writer {
        pipe,
        said,
        pings,
        read: false,
        closing: false,
        _alive: alive,
    };
    Ok(response.streaming(unfold(writer, Writer::next)))
}

/// From the client to the machine.
struct Reader {
    payload: FrameGuard,
    guard: GuardState,
    buffer: BytesMut,
    pipe: Rc<Pipe>,
    words: mpsc::Sender<Word>,
    /// Nothing more is taken: the end was said, or the stream was cut off, and the writer says why.
    over: bool,
}

impl Reader {
    /// Reads until the client has gone, or the writer, which is the connection.
    async fn run(mut self, gone: oneshot::Receiver<()>) {
        let last = tokio::select! {
            last = self.read() => last,
            _ = gone => None,
        };
        if let Some((code, reason)) = last {
            // Before the cut, which the writer would else take for the machine's. It has gone where it does not take it.
            let word = self.words.send(Word::Close(code, reason));
            drop(timeout(CLOSE_LINGER, word).await);
        }
        let reason = "the client has gone";
        self.pipe.cut_off(ResetCode::Cancelled, reason, "cancelled");
    }

    /// What the last word to the client is; none where it is beyond words.
    async fn read(&mut self) -> Option<(u16, String)> {
        let refused = |code: u16, reason: &str| Some((code, reason.to_owned()));
        loop {
            let parsed = Parser::parse(&mut self.buffer, true, MAX_FRAME_BYTES);
            let (fin, opcode, body) = match parsed {
                Ok(Some(frame)) => frame,
                Ok(None) => match timeout(IDLE_TIMEOUT, self.payload.next()).await {
                    Ok(Some(Ok(bytes))) => {
                        self.buffer.extend_from_slice(&bytes);
                        continue;
                    }
                    Ok(Some(Err(_)) | None) => {
                        let violation = self.guard.violation()?;
                        return refused(violation.close_code(), violation.reason());
                    }
                    Err(_) => return refused(close_code::STALLED, "no sign of life"),
                },
                Err(error) => {
                    let (code, reason) = close_of(self.guard.violation(), &error);
                    return refused(code, reason);
                }
            };
            self.guard.frame_done();
            let body = body.map(BytesMut::freeze).unwrap_or_default();
            match opcode {
                OpCode::Binary | OpCode::Text if !fin => {
                    return refused(close_code::UNSUPPORTED, "send each message in one frame");
                }
                OpCode::Binary if self.over => {}
                OpCode::Binary => self.over = self.pipe.send(body).await.is_err(),
                OpCode::Text if body == EOF => {
                    self.over = true;
                    self.pipe.finish();
                }
                OpCode::Text => {
                    return refused(
                        close_code::UNSUPPORTED,
                        "the only text is {\"type\":\"eof\"}",
                    );
                }
                // A client that floods pings is not answered each of them.
                OpCode::Ping => drop(self.words.try_send(Word::Pong(body))),
                OpCode::Pong => {}
                OpCode::Close => return Some(answer(&body)),
                OpCode::Continue | OpCode::Bad => {
                    return refused(close_code::PROTOCOL_ERROR, Violation::Malformed.reason());
                }
            }
        }
    }
}

/// A close frame is answered with its own code.
fn answer(body: &Bytes) -> (u16, String) {
    let reason = Parser::try_parse_close_payload(body).ok().flatten();
    let code = reason.map_or(close_code::NORMAL, |reason| reason.code.into());
    (code, String::new())
}

/// From the machine to the client: the answer's body, asked for more as the socket takes it.
struct Writer {
    pipe: Rc<Pipe>,
    said: mpsc::Receiver<Word>,
    pings: Interval,
    /// The machine has said its end.
    read: bool,
    closing: bool,
    /// The reader ends when this goes.
    _alive: oneshot::Sender<()>,
}

type Chunk = (Result<Bytes, Infallible>, Writer);

impl Writer {
    async fn next(mut self) -> Option<Chunk> {
        if self.closing {
            // The reader ends when the client has closed, too.
            let ended = async { while self.said.recv().await.is_some() {} };
            drop(timeout(CLOSE_LINGER, ended).await);
            return None;
        }
        // Being asked for more means that what was read before is on its way.
        self.pipe.consumed();
        let frame = tokio::select! {
            biased;
            word = self.said.recv() => match word? {
                Word::Pong(body) => message(OpCode::Pong, &body),
                Word::Close(code, reason) => self.close(code, &reason),
            },
            // Before the bytes, which may never end.
            _ = self.pings.tick() => message(OpCode::Ping, b""),
            bytes = self.pipe.recv(), if !self.read => match bytes {
                Ok(Some(bytes)) => message(OpCode::Binary, &bytes),
                Ok(None) => {
                    self.read = true;
                    message(OpCode::Text, EOF.as_bytes())
                }
                Err(reset) => {
                    let error = self.pipe.why(&reset).await;
                    self.fail(&error)
                }
            },
            closed = self.pipe.closed(), if self.read => match &closed.error {
                None => self.close(close_code::NORMAL, "the connection has ended"),
                Some(error) => self.fail(error),
            },
        };
        Some((Ok(frame), self))
    }

    fn fail(&mut self, error: &OperationError) -> Bytes {
        let code = match error.code {
            ErrorCode::Gone => close_code::GOING_AWAY,
            ErrorCode::TimedOut => close_code::STALLED,
            _ => close_code::INTERNAL_ERROR,
        };
        self.close(code, &error.message)
    }

    fn close(&mut self, code: u16, reason: &str) -> Bytes {
        self.closing = true;
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
        let mut frame = BytesMut::new();
        let reason = CloseReason {
            code: CloseCode::from(code),
            description: Some(reason.to_owned()),
        };
        Parser::write_close(&mut frame, Some(reason), false);
        frame.freeze()
    }
}

fn message(opcode: OpCode, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(body.len() + 10);
    Parser::write_message(&mut frame, body, opcode, true, false);
    frame.freeze()
}

#[cfg(test)]
#[path = "tcp_socket_tests.rs"]
mod tests;
