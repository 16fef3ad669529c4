//! The Windows registry. There is none on the platforms that this agent runs on so far.

use gururmm_shared::{ErrorCode, Operation, OperationError, Reply};

/// Says that there is none.
pub(super) async fn perform(_operation: Operation) -> Result<Reply, OperationError> {
    Err(OperationError::new(
        ErrorCode::Unsupported,
        "there is no registry on this platform",
    ))
}
