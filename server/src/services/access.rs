//! The one place that decides whether somebody may do something.

use crate::domain::role::{Capability, Role};
use crate::domain::scope::{Place, Scope};
use crate::error::AppError;

/// Refuses what a role may not do anywhere; the table is `domain::role`.
///
/// # Errors
/// 403 `not_allowed`.
pub fn authorise(role: Role, capability: Capability) -> Result<(), AppError> {
    if role.may(capability) {
        return Ok(());
    }
    Err(AppError::forbidden(
        "not_allowed",
        format!("the role {role} may not do this; ask an administrator"),
    ))
}

/// Refuses what a role may not do, and what lies outside of a scope.
///
/// # Errors
/// 403 `not_allowed` or `out_of_scope`.
pub fn authorise_at(
    role: Role,
    scope: &Scope,
    capability: Capability,
    place: Place,
) -> Result<(), AppError> {
    authorise(role, capability)?;
    if scope.covers(place) {
        return Ok(());
    }
    Err(AppError::forbidden(
        "out_of_scope",
        "this belongs to a client or site that you have no access to; ask an administrator",
    ))
}

/// Refuses as [`authorise_at`] does, and what is somebody else's where the role may do it with its own
/// alone; the table is `domain::role`.
///
/// # Errors
/// 403 `not_allowed`, `out_of_scope` or `not_yours`.
pub fn authorise_owned(
    role: Role,
    scope: &Scope,
    capability: Capability,
    place: Place,
    is_own: bool,
) -> Result<(), AppError> {
    authorise_at(role, scope, capability, place)?;
    if is_own || role.may_with_others(capability) {
        return Ok(());
    }
    Err(AppError::forbidden(
        "not_yours",
        "this belongs to somebody else; ask an administrator",
    ))
}
