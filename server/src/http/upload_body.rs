//! The body of an upload: what the client sends, as fast as the agent takes it. Whoever lets the other wait for too
//! long is cut off.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Payload;
use futures_util::StreamExt;
use gururmm_shared::byte_stream::Reset;
use gururmm_shared::{Closed, OperationError, ResetCode};

use super::operation_problems::of_operation;
use crate::actors::pipe::Pipe;
use crate::error::AppError;

/// How long a client may send nothing.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
/// How long an agent may take nothing.
const AGENT_PATIENCE: Duration = Duration::from_secs(60);
/// How long an agent may take to bring what came onto its disk.
const LAST_WORD: Duration = Duration::from_secs(300);

/// Carries a body into a pipe and waits for the agent's last word. `from` is where the body begins in the file, where
/// it can go on later.
///
/// # Errors
/// The body broke off or stalled, or what the machine says went wrong.
pub async fn carry(
    pipe: &Pipe,
    payload: &mut Payload,
    from: Option<u64>,
    length: Option<u64>,
) -> Result<Closed, AppError> {
    let mut is_open = true;
    loop {
        let chunk = tokio::select! {
            chunk = tokio::time::timeout(CLIENT_PATIENCE, payload.next()) => chunk,
            // The machine may give up while the client has nothing to send: then it need not wait to hear it.
            closed = pipe.closed(), if is_open => match closed.error {
                Some(error) => return Err(gave_up(pipe, from, &error)),
                None => {
                    is_open = false;
                    continue;
                }
            },
        };
        let Ok(chunk) = chunk else {
            let reason = "the client sent nothing for too long";
            pipe.cut_off(ResetCode::Stalled, reason, "stalled");
            return Err(stalled(from, pipe.sent()));
        };
        let bytes = match chunk {
            None => break,
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                pipe.cut_off(ResetCode::Cancelled, "the body broke off", "cancelled");
                return Err(incomplete(from, pipe.sent(), &error.to_string()));
            }
        };
        match tokio::time::timeout(AGENT_PATIENCE, pipe.send(bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(reset)) => return Err(cut_off(pipe, &reset).await),
            Err(_) => {
                let reason = "nothing was taken for too long";
                pipe.cut_off(ResetCode::Stalled, reason, "stalled");
                return Err(silent());
            }
        }
    }
    if length.is_some_and(|length| pipe.sent() != length) {
        pipe.cut_off(ResetCode::Cancelled, "the body broke off", "cancelled");
        return Err(incomplete(
            from,
            pipe.sent(),
            "the body is shorter than it said",
        ));
    }
    pipe.finish();
    let closed = tokio::time::timeout(LAST_WORD, pipe.closed()).await;
    let closed = closed.map_err(|_| silent())?;
    match &closed.error {
        Some(error) => Err(of_operation(error)),
        None => Ok(closed),
    }
}

async fn cut_off(pipe: &Pipe, reset: &Reset) -> AppError {
    of_operation(&pipe.why(reset).await)
}

/// The machine has ended it, as with a full disk.
fn gave_up(pipe: &Pipe, from: Option<u64>, error: &OperationError) -> AppError {
    tracing::debug!(from, sent = pipe.sent(), %error, "the machine ended an upload");
    of_operation(error)
}

fn reached(from: Option<u64>, sent: u64) -> Option<u64> {
    from.map(|from| from.saturating_add(sent))
}

fn incomplete(from: Option<u64>, sent: u64, why: &str) -> AppError {
    let detail = format!(
        "the body broke off after {sent} bytes ({why}); go on from where GET …/files/upload says"
    );
    AppError {
        offset: reached(from, sent),
        ..AppError::new(StatusCode::BAD_REQUEST, "incomplete_upload", detail)
    }
}

fn stalled(from: Option<u64>, sent: u64) -> AppError {
    let seconds = CLIENT_PATIENCE.as_secs();
    let detail = format!("nothing came for {seconds} s; go on from where GET …/files/upload says");
    AppError {
        offset: reached(from, sent),
        ..AppError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
    }
}

fn silent() -> AppError {
    AppError::new(
        StatusCode::GATEWAY_TIMEOUT,
        "timed_out",
        "the agent takes nothing any more; look at its machine, then go on with the upload",
    )
}
