//! Services, as the platform's manager sees them.

use gururmm_shared::{ErrorCode, Operation, OperationError, Reply, ServiceAction};

use super::watch::Seen;
use crate::platform::services;

/// Looks at a service.
///
/// # Errors
/// Why it cannot be looked at, other than that there is none.
pub(super) async fn look(name: &str) -> Result<Seen, OperationError> {
    let question = Operation::ServiceStat {
        name: name.to_owned(),
    };
    match services::perform(question).await {
        Ok(Reply::Services { services }) => Ok(services
            .first()
            .map_or(Seen::Missing, |service| seen(&service.state))),
        Ok(_) => Ok(Seen::Unknown),
        Err(error) if error.code == ErrorCode::NotFound => Ok(Seen::Missing),
        Err(error) => Err(error),
    }
}

/// Restarts a service, or starts it.
///
/// # Errors
/// What the service manager said against it.
pub(super) async fn restart(name: &str) -> Result<(), String> {
    let order = Operation::ServiceControl {
        name: name.to_owned(),
        action: ServiceAction::Restart,
    };
    let done = services::perform(order).await;
    done.map(drop).map_err(|error| error.message)
}

/// What a word of the platform's means.
fn seen(state: &str) -> Seen {
    match state {
        "stopped" | "failed" | "dead" | "maintenance" => Seen::Down(state.to_owned()),
        "starting" | "stopping" | "pausing" | "paused" | "continuing" => {
            Seen::Passing(state.to_owned())
        }
        "unknown" | "" => Seen::Unknown,
        // Of systemd also `exited`, which is as good for what was to run once, and others that are active.
        _ => Seen::Up,
    }
}
