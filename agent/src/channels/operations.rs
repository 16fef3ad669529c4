//! Requests with one answer: not by this build.

use gururmm_shared::{ErrorCode, Operation, OperationError, Reply, TunnelRules};

/// Does what a request asks for.
pub async fn perform(_: Operation, _: &TunnelRules) -> Reply {
    Reply::Failed {
        error: OperationError::new(ErrorCode::Unsupported, "this agent cannot do it yet"),
    }
}
