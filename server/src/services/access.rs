//! The one place that decides whether somebody may do something.

use crate::domain::role::{Capability, Role};
use crate::error::AppError;

/// Refuses what a role may not do; the table is `domain::role`.
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
