//! Requests under an `Idempotency-Key`: which are carried out, and what the others are answered.

use actix_web::http::StatusCode;
use gururmm_shared::UserId;
use uuid::Uuid;

use super::audit::now;
use crate::db::idempotency_keys::{self, Claim};
use crate::db::{Db, DbError};
use crate::domain::idempotency::{Fingerprint, Run, Standing, Subject};
use crate::error::AppError;

/// What becomes of a request.
#[derive(Debug)]
pub enum Taken {
    /// It is carried out.
    New(Claim),
    /// It is carried out again after a crash: what it makes may be there already.
    Again(Claim),
    /// It was done, and is answered as then.
    Done {
        /// The status.
        status: StatusCode,
        /// The body.
        body: String,
    },
}

/// Takes a user's key for a request.
///
/// # Errors
/// 409 while the same request runs or where its answer was shown once and not kept, 422 where the key
/// came with another request.
pub async fn take(
    db: &Db,
    run: Run,
    user_id: UserId,
    key: String,
    fingerprint: Fingerprint,
) -> Result<Taken, AppError> {
    let mut claim = Claim {
        user_id,
        key,
        fingerprint,
        subject: Subject(Uuid::now_v7()),
        run,
        created_at: now(),
    };
    let Some(known) = idempotency_keys::take(db, claim.clone()).await? else {
        return Ok(Taken::New(claim));
    };
    match known.clone().standing(&fingerprint, run, claim.created_at) {
        Standing::Expired => {
            taken_over(idempotency_keys::take_over(db, known, claim.clone()).await)?;
            Ok(Taken::New(claim))
        }
        Standing::GivenUp(subject) => {
            claim.subject = subject;
            taken_over(idempotency_keys::take_over(db, known, claim.clone()).await)?;
            Ok(Taken::Again(claim))
        }
        Standing::Mismatch => Err(mismatch()),
        Standing::InHand => Err(in_hand()),
        Standing::Done { status, body } => {
            let status = u16::try_from(status).ok().map(StatusCode::from_u16);
            let Some(Ok(status)) = status else {
                return Err(AppError::internal(&"an answer was kept without its status"));
            };
            body.map(|body| Taken::Done { status, body })
                .ok_or_else(shown_once)
        }
    }
}

fn taken_over(taken: Result<bool, DbError>) -> Result<(), AppError> {
    if taken? { Ok(()) } else { Err(in_hand()) }
}

fn mismatch() -> AppError {
    AppError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "this Idempotency-Key came with another request; take a new key for a new request",
    )
}

fn in_hand() -> AppError {
    AppError {
        retry_after: Some(1),
        ..AppError::conflict(
            "idempotency_in_progress",
            "the request with this Idempotency-Key is being carried out; ask again in a second",
        )
    }
}

fn shown_once() -> AppError {
    AppError::conflict(
        "idempotency_answer_not_kept",
        "this was done, and its answer was not kept, for it may hold a key that is shown once; look \
         at what was made, or take a new Idempotency-Key",
    )
}
