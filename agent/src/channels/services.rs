//! Services: the platform's own manager is asked; of a list as much is told as one message can carry.

use gururmm_shared::{Operation, OperationError, Reply};

use super::operations::fitting;
use crate::platform::services;

/// Does what is asked of a service.
pub(super) async fn perform(operation: Operation) -> Result<Reply, OperationError> {
    match services::perform(operation).await? {
        Reply::Services { services } => {
            let (services, all_told) = fitting(services.into_iter());
            if !all_told {
                tracing::warn!(services = services.len(), "the list of services is cut");
            }
            Ok(Reply::Services { services })
        }
        other => Ok(other),
    }
}
