//! The agent as a service of Windows: put into the service manager's list, run as its program, and taken out
//! again. Needs the administrator's rights.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gururmm_shared::OperationError;
use tokio::sync::watch;
use windows_service::service::{
    ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept,
    ServiceErrorControl, ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod,
    ServiceInfo, ServiceStartType, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{define_windows_service, service_dispatcher};

use super::service_control::{Manager, explained};
use super::stops::Stops;

/// The service's name.
pub const NAME: &str = "gururmm-agent";

const DISPLAY_NAME: &str = "GuruRMM agent";
const DESCRIPTION: &str =
    "Reports on this machine to its GuruRMM server, and runs what is asked for there.";

/// How long the manager waits for the agent to end.
const STOP_HINT: Duration = Duration::from_secs(10);

/// A service that has failed is started again after so long; the count begins anew after a day.
const RESTARTS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(60),
];
const RESET: Duration = Duration::from_secs(24 * 3600);

/// What the service does.
type Body = Box<dyn FnOnce(Stops) -> Result<(), String> + Send>;

/// The manager calls a function without a word of ours: what that is to do lies here until then.
static BODY: Mutex<Option<Body>> = Mutex::new(None);

/// Puts the service into the list, lets it start with the machine, and starts it.
///
/// # Errors
/// A line for the operator.
pub fn install(config: &Path) -> Result<(), String> {
    let program = std::env::current_exe()
        .map_err(|error| format!("the agent's own program cannot be found: {error}"))?;
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = ServiceManager::local_computer(None::<&OsStr>, access)
        .map_err(|error| line(explained(error, "the service manager cannot be asked")))?;
    let arguments: [OsString; 4] = [
        "service".into(),
        "run".into(),
        "--config".into(),
        config.as_os_str().to_owned(),
    ];
    let info = ServiceInfo {
        name: NAME.into(),
        display_name: DISPLAY_NAME.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: arguments.to_vec(),
        dependencies: Vec::new(),
        // The system itself.
        account_name: None,
        account_password: None,
    };
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = manager
        .create_service(&info, access)
        .map_err(|error| line(explained(error, "the service cannot be installed")))?;
    let restart = |delay| ServiceAction {
        action_type: ServiceActionType::Restart,
        delay,
    };
    let failure = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(RESET),
        reboot_msg: None,
        command: None,
        actions: Some(RESTARTS.map(restart).to_vec()),
    };
    let described = service
        .set_description(DESCRIPTION)
        .and_then(|()| service.update_failure_actions(failure))
        .and_then(|()| service.set_failure_actions_on_non_crash_failures(true));
    if let Err(error) = described {
        tracing::warn!(%error, "the service is installed, but will not be started again when it fails");
    }
    start()
}

/// Ends the service and takes it out of the list.
///
/// # Errors
/// A line for the operator.
pub fn uninstall() -> Result<(), String> {
    stop()?;
    let manager = ServiceManager::local_computer(None::<&OsStr>, ServiceManagerAccess::CONNECT)
        .map_err(|error| line(explained(error, "the service manager cannot be asked")))?;
    let service = manager
        .open_service(NAME, ServiceAccess::DELETE)
        .map_err(|error| line(explained(error, "the service cannot be opened")))?;
    service
        .delete()
        .map_err(|error| line(explained(error, "the service cannot be removed")))
}

/// Starts the service.
///
/// # Errors
/// A line for the operator.
pub fn start() -> Result<(), String> {
    let service = Manager::open().and_then(|manager| manager.service_to_control(NAME));
    service.and_then(|service| service.start()).map_err(line)
}

/// Ends the service.
///
/// # Errors
/// A line for the operator.
pub fn stop() -> Result<(), String> {
    let service = Manager::open().and_then(|manager| manager.service_to_control(NAME));
    service.and_then(|service| service.stop()).map_err(line)
}

/// How the service is, in a word.
///
/// # Errors
/// A line for the operator.
pub fn status() -> Result<String, String> {
    let service = Manager::open().and_then(|manager| manager.service(NAME));
    match service.and_then(|service| service.state()) {
        Ok(state) => Ok(state.state),
        Err(error) if error.code == gururmm_shared::ErrorCode::NotFound => {
            Ok("not installed".to_owned())
        }
        Err(error) => Err(line(error)),
    }
}

/// Says nothing: the service manager was told when the service began.
pub fn tell_started() {}

/// Says nothing: the service manager does not ask whether a service lives.
pub fn tell_alive() {}

/// Does `body` as the service's program, until the service manager stops it.
///
/// # Errors
/// A line for the operator: the service manager has not started this.
pub fn serve(
    body: impl FnOnce(Stops) -> Result<(), String> + Send + 'static,
) -> Result<(), String> {
    *BODY.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(body));
    service_dispatcher::start(NAME, service_main).map_err(|error| {
        line(explained(
            error,
            "only the service manager starts this, use `run`",
        ))
    })
}

define_windows_service!(service_main, run);

fn run(_arguments: Vec<OsString>) {
    if let Err(error) = run_as_service() {
        tracing::error!(%error, "the service has failed");
    }
}

fn run_as_service() -> Result<(), String> {
    let (ask, asked) = watch::channel(false);
    let control = move |wish| match wish {
        ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
            ask.send_replace(true);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let handle = service_control_handler::register(NAME, control)
        .map_err(|error| format!("the service manager does not listen: {error}"))?;
    let tell = |state, accepted, code, hint| {
        let status = ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: accepted,
            exit_code: code,
            checkpoint: 0,
            wait_hint: hint,
            process_id: None,
        };
        if let Err(error) = handle.set_service_status(status) {
            tracing::warn!(%error, "the service manager cannot be told");
        }
    };
    let stops = ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN;
    tell(
        ServiceState::Running,
        stops,
        ServiceExitCode::Win32(0),
        STOP_HINT,
    );
    let body = BODY.lock().unwrap_or_else(PoisonError::into_inner).take();
    let done = match body {
        Some(body) => body(Stops::of_service_manager(asked)),
        None => Err("there is nothing to be done".to_owned()),
    };
    let code = ServiceExitCode::ServiceSpecific(u32::from(done.is_err()));
    let code = if done.is_ok() {
        ServiceExitCode::Win32(0)
    } else {
        code
    };
    tell(
        ServiceState::Stopped,
        ServiceControlAccept::empty(),
        code,
        Duration::ZERO,
    );
    done
}

fn line(error: OperationError) -> String {
    error.message
}
