//! One service: how it is, and what it is told. Waits for what was asked to have happened.

use std::ffi::OsStr;
use std::io;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use gururmm_shared::{ErrorCode, OperationError, ServiceState, StartType};
use windows_service::service::{Service, ServiceAccess, ServiceState as State, ServiceStatus};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_NAME, ERROR_SERVICE_ALREADY_RUNNING,
    ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_NOT_ACTIVE,
};
use windows_sys::Win32::System::Services::{
    ChangeServiceConfigW, SERVICE_AUTO_START, SERVICE_DEMAND_START, SERVICE_DISABLED,
    SERVICE_NO_CHANGE,
};

use super::service_list::state as word;
use super::services::{plain, start_type_of};

/// How long a service may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(25);

/// Between two looks whether it has.
const PAUSE: Duration = Duration::from_millis(50);

/// The service manager.
pub(super) struct Manager(ServiceManager);

/// A service that is open.
pub(super) struct Opened {
    service: Service,
    name: String,
}

impl Manager {
    /// Asks for the service manager of this machine.
    ///
    /// # Errors
    /// What it said.
    pub fn open() -> Result<Self, OperationError> {
        ServiceManager::local_computer(None::<&OsStr>, ServiceManagerAccess::CONNECT)
            .map(Self)
            .map_err(|error| explained(error, "the service manager cannot be asked"))
    }

    /// A service to be looked at.
    ///
    /// # Errors
    /// It is not there, or not for the agent.
    pub fn service(&self, name: &str) -> Result<Opened, OperationError> {
        self.with(name, ServiceAccess::empty())
    }

    /// A service to be started and stopped.
    ///
    /// # Errors
    /// It is not there, or not for the agent.
    pub fn service_to_control(&self, name: &str) -> Result<Opened, OperationError> {
        self.with(name, ServiceAccess::START | ServiceAccess::STOP)
    }

    /// A service to be changed.
    ///
    /// # Errors
    /// It is not there, or not for the agent.
    pub fn service_to_change(&self, name: &str) -> Result<Opened, OperationError> {
        self.with(name, ServiceAccess::CHANGE_CONFIG)
    }

    fn with(&self, name: &str, access: ServiceAccess) -> Result<Opened, OperationError> {
        let look = ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
        let service = self
            .0
            .open_service(name, look | access)
            .map_err(|error| explained(error, &format!("the service {name} cannot be opened")))?;
        Ok(Opened {
            service,
            name: name.to_owned(),
        })
    }
}

impl Opened {
    /// How it is.
    ///
    /// # Errors
    /// What the service manager said.
    pub fn state(&self) -> Result<ServiceState, OperationError> {
        let status = self.status()?;
        let description = self
            .service
            .query_config()
            .map(|config| plain(&config.display_name.to_string_lossy()));
        Ok(ServiceState {
            name: self.name.clone(),
            description: description.unwrap_or_default(),
            state: word(number(status.current_state)).to_owned(),
            start_type: self.start_type(),
            pid: status.process_id.filter(|pid| *pid != 0),
        })
    }

    /// When it starts, where that may be known.
    pub fn start_type(&self) -> Option<StartType> {
        let config = self.service.query_config().ok()?;
        start_type_of(config.start_type.to_raw())
    }

    /// Starts it, and waits until it runs; one that runs already is as good.
    ///
    /// # Errors
    /// What the service manager said; it did not get that far in time.
    pub fn start(&self) -> Result<(), OperationError> {
        let started = self.service.start(&[] as &[&OsStr]);
        self.unless(started, ERROR_SERVICE_ALREADY_RUNNING, "started")?;
        self.wait_for(State::Running, "start")
    }

    /// Stops it, and waits until it has; one that does not run is as good.
    ///
    /// # Errors
    /// What the service manager said; it did not get that far in time.
    pub fn stop(&self) -> Result<(), OperationError> {
        let stopped = self.service.stop().map(drop);
        self.unless(stopped, ERROR_SERVICE_NOT_ACTIVE, "stopped")?;
        self.wait_for(State::Stopped, "stop")
    }

    /// Sets when it starts.
    ///
    /// # Errors
    /// What the service manager said.
    pub fn set_start_type(&self, wanted: StartType) -> Result<(), OperationError> {
        let number = match wanted {
            StartType::Automatic => SERVICE_AUTO_START,
            StartType::Manual => SERVICE_DEMAND_START,
            StartType::Disabled => SERVICE_DISABLED,
        };
        // SAFETY: the handle is open with the right to this; all else stays as it is.
        #[allow(unsafe_code)]
        let done = unsafe {
            ChangeServiceConfigW(
                self.service.raw_handle(),
                SERVICE_NO_CHANGE,
                number,
                SERVICE_NO_CHANGE,
                null(),
                null(),
                null_mut(),
                null(),
                null(),
                null(),
                null(),
            )
        };
        if done == 0 {
            let error = io::Error::last_os_error();
            let text = format!("the start of the service {} cannot be set", self.name);
            return Err(failed(&error, &text));
        }
        Ok(())
    }

    fn unless(
        &self,
        done: windows_service::Result<()>,
        as_good: u32,
        what: &str,
    ) -> Result<(), OperationError> {
        match done {
            Err(windows_service::Error::Winapi(error)) if code(&error) == Some(as_good) => Ok(()),
            done => done.map_err(|error| {
                explained(
                    error,
                    &format!("the service {} cannot be {what}", self.name),
                )
            }),
        }
    }

    fn wait_for(&self, wanted: State, what: &str) -> Result<(), OperationError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.status()?.current_state;
            if now == wanted {
                return Ok(());
            }
            // One that has ended already will not run by itself.
            let has_failed = wanted == State::Running && now == State::Stopped;
            if has_failed || Instant::now() >= deadline {
                let code = if has_failed {
                    ErrorCode::Failed
                } else {
                    ErrorCode::TimedOut
                };
                let text = format!(
                    "the service {} did not {what}: it is {}",
                    self.name,
                    word(number(now))
                );
                return Err(OperationError::new(code, text));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn status(&self) -> Result<ServiceStatus, OperationError> {
        let status = self.service.query_status();
        status.map_err(|error| explained(error, &format!("the service {} is silent", self.name)))
    }
}

fn number(state: State) -> u32 {
    match state {
        State::Stopped => 1,
        State::StartPending => 2,
        State::StopPending => 3,
        State::Running => 4,
        State::ContinuePending => 5,
        State::PausePending => 6,
        State::Paused => 7,
    }
}

fn code(error: &io::Error) -> Option<u32> {
    u32::try_from(error.raw_os_error()?).ok()
}

/// What the service manager said against it.
pub(super) fn explained(error: windows_service::Error, what: &str) -> OperationError {
    match error {
        windows_service::Error::Winapi(error) => failed(&error, what),
        other => OperationError::new(ErrorCode::BadName, format!("{what}: {other}")),
    }
}

/// The same, as the operating system says it.
pub(super) fn failed(error: &io::Error, what: &str) -> OperationError {
    let kind = match code(error) {
        Some(ERROR_SERVICE_DOES_NOT_EXIST) => ErrorCode::NotFound,
        Some(ERROR_ACCESS_DENIED) => ErrorCode::PermissionDenied,
        Some(ERROR_INVALID_NAME) => ErrorCode::BadName,
        _ => ErrorCode::Failed,
    };
    OperationError::new(kind, format!("{what}: {error}"))
}
