//! The Windows registry. There is none here.

use gururmm_shared::{ErrorCode, Operation, OperationError, Reply};

/// Whether there is one.
pub const IS_THERE: bool = false;

/// Says that there is none.
///
/// # Errors
/// Always.
pub fn perform(_operation: &Operation) -> Result<Reply, OperationError> {
    Err(OperationError::new(
        ErrorCode::Unsupported,
        "there is no registry on this platform",
    ))
}
