//! How streams and requests of a session open, are answered and end: each once, and its audit row with it.

use std::sync::Arc;

use actix::prelude::*;
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{
    AuditId, ChannelId, Closed, ErrorCode, Frame, Opened, OperationError, Reply, ResetCode,
    TunnelPayload,
};

use super::connection_messages::ToConnection;
use super::pipe::{Pipe, gone};
use super::stream_messages::{LetGo, OpenedStream, StreamError};
use super::tunnel::TunnelSession;
use super::tunnel_streams::Live;
use crate::db::tunnel_audit::Ending;
use crate::domain::channels::Ended;
use crate::domain::stream_audit;
use crate::domain::streams::Over;
use crate::domain::text::tame;
use crate::services::audit;

/// Characters of an error's message that are kept.
const MESSAGE_CHARS: usize = 2000;
/// Bytes of what a write replaced that are kept.
const BEFORE_BYTES: usize = 64 * 1024;

impl TunnelSession {
    /// Takes what an agent says of a stream or a request; false where it says something else.
    pub(super) fn on_stream_word(&mut self, channel_id: &ChannelId, word: TunnelPayload) -> bool {
        match word {
            TunnelPayload::Opened(opened) => self.on_opened(channel_id, opened),
            TunnelPayload::Closed(closed) => self.on_closed(channel_id, closed),
            TunnelPayload::Reply(reply) => self.on_reply(channel_id, *reply),
            _ => return false,
        }
        true
    }

    fn on_opened(&mut self, channel_id: &ChannelId, opened: Opened) {
        let Some(Live::Stream {
            stream, waiting, ..
        }) = self.streams.opened(channel_id)
        else {
            tracing::debug!(session.id = %self.id, channel = %channel_id, "a channel that nobody opens is open");
            return;
        };
        let limit = opened.window;
        // A WINDOW that has overtaken this may have said more already; less changes nothing.
        let _ = stream.on_frame(Frame::Window {
            stream: stream.id(),
            limit,
        });
        let stream = Arc::clone(stream);
        if let Some(mut waiting) = waiting.take() {
            match &waiting.lane {
                Some(slot) if opened.lane => waiting.pipe.lane = slot.claim(),
                Some(slot) => slot.shut(),
                None => {}
            }
            let by_lane = opened.lane && waiting.lane.is_some();
            let opened = OpenedStream {
                channel_id: channel_id.clone(),
                pipe: Pipe::new(waiting.pipe),
                opened,
            };
            if by_lane {
                self.widen(channel_id, &stream);
            }
            // Where nobody waits any more the pipe is dropped, which ends the stream.
            drop(waiting.answer.send(Ok(opened)));
        }
    }

    /// Lets an agent have more on its way over a lane than over its WebSocket.
    fn widen(&mut self, channel_id: &ChannelId, stream: &Arc<ByteStream>) {
        let window = self.streams.widen(channel_id);
        if let Some(frame) = window.and_then(|window| stream.widen(window)) {
            let frame = ToConnection::Frame(frame.encode());
            self.agent.connection.do_send(frame);
        }
    }

    fn on_closed(&mut self, channel_id: &ChannelId, mut closed: Closed) {
        let Some(over) = self.streams.closed(channel_id) else {
            tracing::debug!(session.id = %self.id, channel = %channel_id, "the end of no open channel");
            return;
        };
        closed.error = closed.error.map(tamed);
        let Live::Stream {
            stream,
            closed: last_word,
            waiting,
        } = over.kept
        else {
            return;
        };
        let position = stream.position();
        let bytes = i64::try_from(position.received.saturating_add(position.sent));
        let ending = Ending {
            bytes: bytes.ok(),
            exit_code: closed.exit_code,
            ..ending(stream_audit::outcome(closed.error.as_ref()))
        };
        self.settle_act(over.audit_id, ending);
        if let Some(waiting) = waiting {
            let error = closed.error.clone().unwrap_or_else(|| {
                let message = "the agent closed the channel without opening it";
                OperationError::new(ErrorCode::Failed, message)
            });
            drop(waiting.answer.send(Err(StreamError::Failed(error))));
        }
        // First the word, then the cut: who is woken by it asks for the word. What came before is still read.
        last_word.send_replace(Some(closed));
        let _ = stream.reset(ResetCode::Failed, "the agent has closed the channel");
        self.unroute(&stream);
    }

    fn on_reply(&mut self, channel_id: &ChannelId, reply: Reply) {
        let Some(Over {
            audit_id,
            kept: Live::Request(answer),
        }) = self.streams.answered(channel_id)
        else {
            tracing::debug!(session.id = %self.id, channel = %channel_id, "an answer to no request");
            return;
        };
        let ending = match &reply {
            Reply::Failed { error } => ending(stream_audit::outcome(Some(error))),
            Reply::Replaced { before } => Ending {
                before: before.as_deref().map(kept_before),
                ..ending("completed")
            },
            _ => ending("completed"),
        };
        self.settle_act(audit_id, ending);
        let answered = match reply {
            Reply::Failed { error } => Err(StreamError::Failed(tamed(error))),
            reply => Ok(reply),
        };
        // Who no longer waits need not be told.
        let _ = answer.send(answered);
    }

    /// A `tunnel_error` of a channel that is a stream or a request.
    pub(super) fn fail_stream(&mut self, channel_id: &ChannelId, error: &str) {
        let error = OperationError::new(ErrorCode::Failed, error);
        self.on_closed(channel_id, Closed::failed(error.clone()));
        self.on_reply(channel_id, Reply::Failed { error });
    }

    /// Ends all streams and requests; the answer is what the audit has to be told.
    pub(super) fn end_streams(&mut self, outcome: &'static str) -> Vec<Ended> {
        let over = self.streams.end_all();
        over.into_iter()
            .map(|over| {
                match over.kept {
                    Live::Request(answer) => drop(answer.send(Err(StreamError::Failed(gone())))),
                    Live::Stream {
                        stream,
                        closed,
                        waiting,
                    } => {
                        if let Some(waiting) = waiting {
                            drop(waiting.answer.send(Err(StreamError::Failed(gone()))));
                        }
                        closed.send_replace(Some(Closed::failed(gone())));
                        self.drop_stream(&stream, ResetCode::Gone, "the session has ended");
                    }
                }
                Ended {
                    audit_id: over.audit_id,
                    outcome,
                    exit_code: None,
                }
            })
            .collect()
    }

    pub(super) fn drop_stream(&self, stream: &Arc<ByteStream>, code: ResetCode, reason: &str) {
        if let Some(frame) = stream.reset(code, reason) {
            let frame = ToConnection::Frame(frame.encode());
            self.agent.connection.do_send(frame);
        }
        self.unroute(stream);
    }

    fn unroute(&self, stream: &Arc<ByteStream>) {
        let stream = stream.id();
        self.agent
            .connection
            .do_send(ToConnection::Unroute { stream });
    }

    /// Notes in the audit how a stream or a request ended.
    pub(super) fn settle_act(&self, audit_id: AuditId, ending: Ending) {
        let db = self.db.clone();
        // On the arbiter, not in the actor: it is to be written even if the actor stops.
        actix::spawn(audit::finish_surely(db, audit_id, ending));
    }
}

pub(super) fn ending(outcome: &str) -> Ending {
    Ending {
        outcome: outcome.to_owned(),
        ..Ending::default()
    }
}

fn tamed(error: OperationError) -> OperationError {
    OperationError {
        message: tame(&error.message, MESSAGE_CHARS),
        ..error
    }
}

fn kept_before(text: &str) -> String {
    let end = text.floor_char_boundary(BEFORE_BYTES);
    crate::domain::text::printable(&text[..end])
}

impl Handler<LetGo> for TunnelSession {
    type Result = ();

    fn handle(&mut self, message: LetGo, _: &mut Self::Context) {
        let Some(over) = self.streams.closed(&message.channel_id) else {
            return;
        };
        let mut ending = ending(message.outcome);
        if let Live::Stream { stream, .. } = &over.kept {
            let position = stream.position();
            ending.bytes = i64::try_from(position.received.saturating_add(position.sent)).ok();
            self.unroute(stream);
        }
        self.settle_act(over.audit_id, ending);
    }
}
