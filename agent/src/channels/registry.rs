//! The Windows registry; elsewhere the platform says that there is none. What it does may block.

use gururmm_shared::{ErrorCode, Operation, OperationError, Reply};
use tokio::task::spawn_blocking;

use super::operations::fitting;
use crate::platform::registry;

/// Does what is asked of the registry.
pub(super) async fn perform(operation: Operation) -> Result<Reply, OperationError> {
    let done = spawn_blocking(move || registry::perform(&operation)).await;
    let reply =
        done.map_err(|_| OperationError::new(ErrorCode::Gone, "the agent is being stopped"))??;
    match reply {
        Reply::Registry { keys, values } => {
            let ((keys, all_keys), (values, all_values)) =
                (fitting(keys.into_iter()), fitting(values.into_iter()));
            if !(all_keys && all_values) {
                let text = "the key holds more than one answer can carry: export it";
                return Err(OperationError::new(ErrorCode::TooLarge, text));
            }
            Ok(Reply::Registry { keys, values })
        }
        other => Ok(other),
    }
}
