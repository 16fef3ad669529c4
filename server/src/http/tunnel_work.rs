//! What handlers of files, services, processes and the registry share: whose session it is, asking it, and writing
//! down what the policy refuses.

use actix_web::web::Data;
use gururmm_shared::{ChannelKind, Operation, Reply, SessionId};

use super::extract::Authenticated;
use super::operation_problems::of_session;
use super::sessions::{OwnSession, own_session, refuse};
use super::state::AppState;
use crate::actors::stream_messages::{OpenStream, OpenedStream, Perform, StreamError};
use crate::domain::stream_audit::{describe_channel, describe_operation};
use crate::error::AppError;
use crate::services::audit::Refusal;

/// Bytes of a path.
const PATH_BYTES: usize = 4096;

/// Refuses what can be no path or name: empty, or longer than any system takes.
///
/// # Errors
/// 400.
pub fn check_text(field: &'static str, text: &str) -> Result<(), AppError> {
    if text.is_empty() || text.len() > PATH_BYTES {
        let detail = format!("{field} has 1 to {PATH_BYTES} bytes");
        return Err(AppError::invalid_field(field, detail));
    }
    Ok(())
}

/// Asks the agent of a session of the caller's for something.
///
/// # Errors
/// As [`of_session`], and those of [`own_session`].
pub async fn perform(
    state: &Data<AppState>,
    who: &Authenticated,
    session_id: uuid::Uuid,
    operation: Operation,
) -> Result<Reply, AppError> {
    let session_id = SessionId(session_id);
    let what = describe_operation(&operation);
    let session = own_session(state, who, session_id, &what).await?;
    let refusal = refusal(what, &session, session_id);
    let caller = who.caller.clone();
    let asked = Perform { operation, caller };
    // An actor that has just stopped no longer answers: the session is closed.
    let reply = session.live()?.send(asked).await;
    match reply.unwrap_or(Err(StreamError::Closed)) {
        Ok(reply) => Ok(reply),
        Err(error) => Err(refused(state, who, refusal, &error).await),
    }
}

/// Opens a stream in a session of the caller's.
///
/// # Errors
/// As [`perform`].
pub async fn open(
    state: &Data<AppState>,
    who: &Authenticated,
    session_id: uuid::Uuid,
    kind: ChannelKind,
) -> Result<OpenedStream, AppError> {
    match try_open(state, who, session_id, kind).await? {
        Ok(opened) => Ok(opened),
        Err(error) => Err(of_session(&error)),
    }
}

/// As [`open`], where what the machine says against it is the caller's to judge.
///
/// # Errors
/// All but [`StreamError::Failed`].
pub async fn try_open(
    state: &Data<AppState>,
    who: &Authenticated,
    session_id: uuid::Uuid,
    kind: ChannelKind,
) -> Result<Result<OpenedStream, StreamError>, AppError> {
    let session_id = SessionId(session_id);
    let what = describe_channel(&kind);
    let session = own_session(state, who, session_id, &what).await?;
    let refusal = refusal(what, &session, session_id);
    let caller = who.caller.clone();
    let opened = session.live()?.send(OpenStream { kind, caller }).await;
    match opened.unwrap_or(Err(StreamError::Closed)) {
        Err(error) if !matches!(error, StreamError::Failed(_)) => {
            Err(refused(state, who, refusal, &error).await)
        }
        answer => {
            // It has a row of its own, and what the machine forbids is no refusal of the server's.
            who.noted.set();
            Ok(answer)
        }
    }
}

fn refusal(what: String, session: &OwnSession, session_id: SessionId) -> Refusal {
    Refusal {
        what,
        agent: Some((session.agent_id, String::new())),
        session_id: Some(session_id),
        ..Refusal::default()
    }
}

/// What the policy forbids has no row of its own yet.
async fn refused(
    state: &Data<AppState>,
    who: &Authenticated,
    refusal: Refusal,
    error: &StreamError,
) -> AppError {
    let answer = of_session(error);
    match error {
        StreamError::Refused(_) => refuse(state, who, refusal, answer).await,
        _ => {
            who.noted.set();
            answer
        }
    }
}
