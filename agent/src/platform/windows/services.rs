//! Services by the service manager: listed, looked at, started, stopped, and when they start. Each change
//! answers how the service was before, so that it can be put back.

use std::time::Duration;

use gururmm_shared::{
    ErrorCode, Operation, OperationError, Reply, ServiceAction, ServiceState, StartType,
};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::service_control::{self, Manager};
use super::service_list;

/// How long the manager, and a service that is to start or to end, may take.
const PATIENCE: Duration = Duration::from_secs(55);

/// The longest name.
const MOST_NAME: usize = 256;

/// Does what is asked of services; a list is told whole.
///
/// # Errors
/// Why it was not done.
pub async fn perform(operation: Operation) -> Result<Reply, OperationError> {
    match timeout(PATIENCE, spawn_blocking(move || at_once(operation))).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(OperationError::new(
            ErrorCode::Gone,
            "the agent is being stopped",
        )),
        Err(_) => Err(OperationError::new(
            ErrorCode::TimedOut,
            format!(
                "the service manager has not answered within {} s; it may go on with what it was asked",
                PATIENCE.as_secs()
            ),
        )),
    }
}

fn at_once(operation: Operation) -> Result<Reply, OperationError> {
    match operation {
        Operation::ServiceStat { name } => Ok(Reply::Services {
            services: vec![Manager::open()?.service(&checked(&name)?)?.state()?],
        }),
        Operation::ServiceControl { name, action } => {
            let service = Manager::open()?.service_to_control(&checked(&name)?)?;
            let before = service.state()?;
            match action {
                ServiceAction::Start => service.start()?,
                ServiceAction::Stop => service.stop()?,
                ServiceAction::Restart => {
                    service.stop()?;
                    service.start()?;
                }
            }
            Ok(replaced(&before))
        }
        Operation::ServiceStartType { name, start_type } => {
            let service = Manager::open()?.service_to_change(&checked(&name)?)?;
            let before = service.state()?;
            service.set_start_type(start_type)?;
            Ok(replaced(&before))
        }
        _ => Ok(Reply::Services { services: list()? }),
    }
}

/// All services by name, each with its start type where that may be read.
///
/// # Errors
/// What the service manager said.
pub(super) fn list() -> Result<Vec<ServiceState>, OperationError> {
    let manager = Manager::open()?;
    let mut services: Vec<ServiceState> = service_list::all()
        .map_err(|error| service_control::failed(&error, "the services cannot be listed"))?
        .into_iter()
        .map(|found| {
            let service = manager.service(&found.name);
            ServiceState {
                description: plain(&found.display_name),
                state: found.state.to_owned(),
                start_type: service.ok().and_then(|service| service.start_type()),
                pid: (found.pid != 0).then_some(found.pid),
                name: plain(&found.name),
            }
        })
        .collect();
    services.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(services)
}

fn replaced(before: &ServiceState) -> Reply {
    Reply::Replaced {
        before: serde_json::to_string(before).ok(),
    }
}

/// A service's name: what the service manager itself allows.
///
/// # Errors
/// It is none.
pub fn checked(name: &str) -> Result<String, OperationError> {
    let length = name.encode_utf16().count();
    let fits = (1..=MOST_NAME).contains(&length)
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, '/' | '\\'));
    if fits {
        return Ok(name.to_owned());
    }
    Err(OperationError::new(
        ErrorCode::BadName,
        "a service's name has 1 to 256 characters, and none of them is / or \\",
    ))
}

/// Services choose these texts: they are not to move anybody's cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MOST_NAME)
        .collect()
}

/// The word for when a service starts.
pub(super) fn start_type_of(number: u32) -> Option<StartType> {
    match number {
        // Boot, system, automatic.
        0..=2 => Some(StartType::Automatic),
        3 => Some(StartType::Manual),
        4 => Some(StartType::Disabled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn services_are_listed_with_state_and_start_type() {
        let Reply::Services { services } = perform(Operation::ServiceList).await.unwrap() else {
            panic!("no services")
        };
        assert!(!services.is_empty());
        assert!(
            services
                .iter()
                .all(|one| !one.name.is_empty() && !one.state.is_empty())
        );
        assert!(
            services.iter().any(|one| one.start_type.is_some()),
            "{services:?}"
        );
        let name = services[0].name.clone();
        let Reply::Services { services } = perform(Operation::ServiceStat { name: name.clone() })
            .await
            .unwrap()
        else {
            panic!("no service")
        };
        assert_eq!(services[0].name, name);
    }

    #[tokio::test]
    async fn what_is_no_service_is_told() {
        let code = async |name: &str| {
            let stat = Operation::ServiceStat {
                name: name.to_owned(),
            };
            perform(stat).await.unwrap_err().code
        };
        assert_eq!(code("gururmm-nowhere").await, ErrorCode::NotFound);
        for bad in ["", "a/b", "a\\b", "a\nb"] {
            assert_eq!(code(bad).await, ErrorCode::BadName, "{bad:?}");
        }
    }
}
