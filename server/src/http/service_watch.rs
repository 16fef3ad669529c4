//! Changes of a machine's services as they happen, as server-sent events (HTML Living Standard, section 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpResponse, get};
use bytes::{Buf, BytesMut};
use futures_util::Stream;
use futures_util::stream::unfold;
use gururmm_shared::byte_stream::Reset;
use gururmm_shared::{
    ChannelKind, ErrorCode, OperationError, ResetCode, ServiceChange, ServiceWatch,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::Authenticated;
use super::pipe_body::{Progress, watch};
use super::state::AppState;
use super::tunnel_work::{check_text, open};
use crate::actors::pipe::Pipe;
use crate::domain::text::tame;
use crate::error::AppError;

/// How often a line is sent that says nothing, so that a client that is gone is noticed.
const PULSE: Duration = Duration::from_secs(15);
/// Characters of an error's message.
const MESSAGE_CHARS: usize = 500;

/// Which services are watched.
#[derive(Deserialize, IntoParams)]
pub struct Watched {
    /// Their names, with commas between them, at most 100; all of them where it is missing.
    #[param(max_length = 4096)]
    names: Option<String>,
    /// Time between looks at them; 2 where it is missing.
    #[param(minimum = 1, maximum = 60)]
    interval_seconds: Option<u32>,
}

/// How a watch ended.
#[derive(Serialize, ToSchema)]
#[schema(as = WatchEnd)]
struct EndView {
    /// `session_closed`, or the code of what went wrong.
    code: ErrorCode,
    /// For people.
    message: String,
}

impl Watched {
    fn check(self) -> Result<ServiceWatch, AppError> {
        let names = match &self.names {
            None => Vec::new(),
            Some(names) => {
                check_text("names", names)?;
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect()
            }
        };
        if names.len() > ServiceWatch::MOST_NAMES || names.iter().any(String::is_empty) {
            let detail = "names are those of 1 to 100 services, with commas between them";
            return Err(AppError::invalid_field("names", detail));
        }
        let watch = ServiceWatch {
            names,
            interval_seconds: self.interval_seconds,
        };
        if let Err(error) = ChannelKind::ServiceWatch(watch.clone()).check() {
            let field = match watch.interval_seconds {
                Some(1..=ServiceWatch::MOST_SECONDS) | None => "names",
                Some(_) => "interval_seconds",
            };
            return Err(AppError::invalid_field(field, error.message));
        }
        Ok(watch)
    }
}

/// Tells of changes of services as they happen.
///
/// First comes an event `service` with `change` = `present` for each of them, then one for each change. A line that
/// begins with a colon says nothing. The event `end` is the last.
#[utoipa::path(
    tag = "services",
    operation_id = "watch",
    responses(
        (status = 200, description = "events `service` (a ServiceChange) and `end`", body = ServiceChange, content_type = "text/event-stream"),
        (status = 400, description = "a field outside its limits"),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/services/watch")]
pub async fn follow(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    watched: Query<Watched>,
) -> Result<HttpResponse, AppError> {
    let kind = ChannelKind::ServiceWatch(watched.into_inner().check()?);
    let stream = open(&state, &who, *session_id, kind).await?;
    let patience = Duration::from_secs(state.settings.tunnel.viewer_stall_seconds.into());
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events(stream.pipe, patience)))
}

struct Events {
    pipe: Arc<Pipe>,
    progress: Arc<Progress>,
    lines: Lines,
    over: bool,
}

fn events(pipe: Pipe, patience: Duration) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let pipe = Arc::new(pipe);
    let progress = Arc::new(Progress::default());
    actix_web::rt::spawn(watch(
        Arc::downgrade(&pipe),
        Arc::clone(&progress),
        patience,
    ));
    let events = Events {
        pipe,
        progress,
        lines: Lines::default(),
        over: false,
    };
    unfold(events, async |mut events| {
        let chunk = events.next().await?;
        Some((Ok(chunk), events))
    })
}

impl Events {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        self.progress.taken();
        self.pipe.consumed();
        let chunk = loop {
            let received = match tokio::time::timeout(PULSE, self.pipe.recv()).await {
                Ok(received) => received,
                Err(_) => break Bytes::from_static(b":\n\n"),
            };
            let taken = match received {
                Ok(Some(bytes)) => self.lines.take(bytes),
                Ok(None) => Err(self.last_word().await),
                Err(reset) => Err(self.why(&reset).await),
            };
            match taken {
                Ok(events) if events.is_empty() => self.pipe.consumed(),
                Ok(events) => break events,
                Err(error) => break self.end(error),
            }
        };
        self.progress.handed_over();
        Some(chunk)
    }

    fn end(&mut self, error: OperationError) -> Bytes {
        self.over = true;
        let reason = "the watch has ended";
        self.pipe.cut_off(ResetCode::Cancelled, reason, "cancelled");
        let end = EndView {
            code: error.code,
            message: tame(&error.message, MESSAGE_CHARS),
        };
        event("end", &end)
    }

    async fn last_word(&self) -> OperationError {
        let closed = self.pipe.closed().await;
        closed.error.unwrap_or_else(|| {
            OperationError::new(ErrorCode::Gone, "the machine has ended the watch")
        })
    }

    async fn why(&self, reset: &Reset) -> OperationError {
        self.pipe.why(reset).await
    }
}

fn event(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// What the machine writes, line by line; nothing of it goes on that was not understood.
#[derive(Default)]
struct Lines {
    held: BytesMut,
}

impl Lines {
    fn take(&mut self, bytes: Bytes) -> Result<Bytes, OperationError> {
        self.held.extend_from_slice(&bytes);
        let mut events = BytesMut::new();
        while let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
            let line = self.held.split_to(end);
            self.held.advance(1);
            if line.len() > ServiceChange::MAX_BYTES {
                return Err(senseless());
            }
            let mut change: ServiceChange =
                serde_json::from_slice(&line).map_err(|_| senseless())?;
            let service = &mut change.service;
            for text in [
                &mut service.name,
                &mut service.description,
                &mut service.state,
            ] {
                *text = tame(text, MESSAGE_CHARS);
            }
            events.extend_from_slice(&event("service", &change));
        }
        if self.held.len() > ServiceChange::MAX_BYTES {
            return Err(senseless());
        }
        Ok(events.freeze())
    }
}

fn senseless() -> OperationError {
    OperationError::new(
        ErrorCode::Failed,
        "the agent says what is no change of a service; is it older than the server?",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"change":"changed","service":{"name":"ssh.service","state":"stopped"}}"#;

    #[test]
    fn lines_in_any_cut_become_events() {
        let text = format!("{LINE}\n{LINE}\n");
        for size in [1, 7, text.len()] {
            let mut lines = Lines::default();
            let mut all = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                let events = lines.take(Bytes::copy_from_slice(piece)).unwrap();
                all.extend_from_slice(&events);
            }
            let all = String::from_utf8(all).unwrap();
            assert_eq!(all.matches("event: service\ndata: {").count(), 2, "{all}");
            assert!(all.ends_with("\n\n"), "{all}");
        }
    }

    #[test]
    fn what_is_no_change_or_has_no_end_is_refused() {
        let take = |text: String| Lines::default().take(Bytes::from(text));
        assert!(take("event: service\n".to_owned()).is_err());
        assert!(take("x".repeat(ServiceChange::MAX_BYTES + 1)).is_err());
        assert!(take(String::new()).unwrap().is_empty());
    }

    #[test]
    fn a_machine_cannot_begin_events_of_its_own() {
        let line = LINE.replace("stopped", "a\\n\\nevent: end");
        let events = Lines::default()
            .take(Bytes::from(format!("{line}\n")))
            .unwrap();
        let text = std::str::from_utf8(&events).unwrap();
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("event"))
                .count(),
            1
        );
    }

    #[test]
    fn names_and_the_time_between_looks_have_limits() {
        let watched = |names: Option<&str>, interval_seconds| {
            let names = names.map(str::to_owned);
            let watched = Watched {
                names,
                interval_seconds,
            };
            watched.check()
        };
        let some = watched(Some("ssh, cron.service"), Some(60)).unwrap();
        assert_eq!(some.names, ["ssh", "cron.service"]);
        assert!(watched(None, None).unwrap().names.is_empty());
        for (names, seconds, field) in [
            (Some(""), None, "names"),
            (Some("a,,b"), None, "names"),
            (Some("a\u{7}b"), None, "names"),
            (None, Some(0), "interval_seconds"),
            (None, Some(61), "interval_seconds"),
        ] {
            let error = watched(names, seconds).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(field));
        }
    }
}
