//! The processes of the machine with what they use, and the end of one of them.

use std::time::Duration;

use gururmm_shared::{ErrorCode, Operation, OperationError, ProcessInfo, Reply};
use sysinfo::{
    MINIMUM_CPU_UPDATE_INTERVAL, Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System,
    UpdateKind,
};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::operations::fitting;
use crate::platform::{KillError, OwnerNames, kill_process};

/// How long a look at the processes may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between the two looks that a load needs.
const BETWEEN: Duration = MINIMUM_CPU_UPDATE_INTERVAL;
/// Characters of a command line that are told.
const MOST_COMMAND: usize = 1000;
/// Characters of all command lines together.
const MOST_COMMANDS: usize = 256 * 1024;

/// Lists the processes, or ends one.
pub(super) async fn perform(operation: Operation) -> Result<Reply, OperationError> {
    match operation {
        Operation::ProcessKill { pid, started } => {
            in_time(move || kill(pid, started)).await?;
            Ok(Reply::Done)
        }
        _ => Ok(Reply::Processes {
            processes: list().await?,
        }),
    }
}

/// Lists the processes by number. Between the two looks no thread is held.
async fn list() -> Result<Vec<ProcessInfo>, OperationError> {
    let system = in_time(|| {
        let mut system = System::new().map_err(|error| failed(&error))?;
        let kind = ProcessRefreshKind::nothing().with_cpu();
        look(&mut system, ProcessesToUpdate::All, kind);
        Ok(system)
    })
    .await?;
    sleep(BETWEEN).await;
    in_time(move || Ok(describe_all(system))).await
}

fn describe_all(mut system: System) -> Vec<ProcessInfo> {
    let kind = ProcessRefreshKind::nothing()
        .with_cpu()
        .with_memory()
        .with_cmd(UpdateKind::OnlyIfNotSet)
        .with_user(UpdateKind::OnlyIfNotSet);
    look(&mut system, ProcessesToUpdate::All, kind);
    let mut names = OwnerNames::default();
    let mut all: Vec<&Process> = system
        .processes()
        .values()
        // Threads are no processes.
        .filter(|process| process.thread_kind().is_none())
        .collect();
    all.sort_by_key(|process| process.pid());
    // With many, each tells less of its command line, so that all of them fit.
    let most = MOST_COMMAND.min(MOST_COMMANDS / all.len().max(1));
    let described = all
        .into_iter()
        .map(|process| describe(process, most, &mut names));
    let (told, all_told) = fitting(described);
    if !all_told {
        tracing::warn!(processes = told.len(), "the list of processes is cut");
    }
    told
}

fn describe(process: &Process, most_command: usize, names: &mut OwnerNames) -> ProcessInfo {
    let words: Vec<_> = process
        .cmd()
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    ProcessInfo {
        pid: process.pid().as_u32(),
        parent: process.parent().map(Pid::as_u32),
        name: plain(&process.name().to_string_lossy(), 200),
        command: plain(&words.join(" "), most_command),
        user: process.user_id().and_then(|id| names.user_of_process(id)),
        cpu_percent: process.cpu_usage(),
        memory: process.memory(),
        started: process.start_time(),
    }
}

/// Programs choose these texts: they are not to move anybody's cursor.
fn plain(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

fn kill(pid: u32, started: u64) -> Result<(), OperationError> {
    let refused = |text: &str| Err(OperationError::new(ErrorCode::NotAllowed, text));
    match pid {
        0 | 1 => return refused("the first process of the machine is not ended"),
        own if own == std::process::id() => return refused("the agent does not end itself"),
        _ => {}
    }
    let gone = || {
        let text = format!("there is no process {pid} that started at {started}: list them again");
        OperationError::new(ErrorCode::NotFound, text)
    };
    let mut system = System::new().map_err(|error| failed(&error))?;
    let is_it = || {
        let number = Pid::from_u32(pid);
        let kind = ProcessRefreshKind::nothing();
        look(&mut system, ProcessesToUpdate::Some(&[number]), kind);
        let found = system.process(number);
        found.is_some_and(|process| {
            process.start_time() == started && process.thread_kind().is_none()
        })
    };
    kill_process(pid, is_it).map_err(|error| match error {
        KillError::Gone => gone(),
        KillError::Refused(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let text = format!("the system does not let the agent end process {pid}");
            OperationError::new(ErrorCode::PermissionDenied, text)
        }
        KillError::Refused(error) => failed(&error),
    })
}

fn look(system: &mut System, which: ProcessesToUpdate<'_>, kind: ProcessRefreshKind) {
    system.refresh_processes_specifics(which, true, kind);
}

async fn in_time<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OperationError> + Send + 'static,
) -> Result<T, OperationError> {
    match timeout(PATIENCE, spawn_blocking(work)).await {
        Ok(done) => done.unwrap_or_else(|error| Err(failed(&error))),
        Err(_) => Err(OperationError::new(
            ErrorCode::TimedOut,
            "to look at the processes took too long",
        )),
    }
}

fn failed(error: &dyn std::fmt::Display) -> OperationError {
    OperationError::new(ErrorCode::Failed, error.to_string())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    async fn find(pid: u32) -> Option<ProcessInfo> {
        list().await.unwrap().into_iter().find(|one| one.pid == pid)
    }

    #[tokio::test]
    async fn a_process_is_listed_with_its_command_its_user_and_its_memory() {
        let mut child = sleeper();
        let found = find(child.id()).await.unwrap();
        assert_eq!(
            (found.name.as_str(), found.command.as_str()),
            ("sleep", "sleep 1000")
        );
        assert_eq!(found.parent, Some(std::process::id()));
        assert!(found.memory > 0 && found.user.is_some() && found.started > 1_600_000_000);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_busy_process_has_a_load() {
        let mut child = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        // One that has not run before the first look has none yet.
        let mut load = 0.0;
        for _ in 0..50 {
            load = find(child.id()).await.map_or(0.0, |one| one.cpu_percent);
            if load > 1.0 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(load > 1.0);
    }

    #[tokio::test]
    async fn a_process_is_ended_only_where_its_start_fits() {
        let mut child = sleeper();
        let pid = child.id();
        let started = find(pid).await.unwrap().started;
        let wrong = perform(Operation::ProcessKill {
            pid,
            started: started + 1,
        })
        .await;
        assert_eq!(wrong.unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(child.try_wait().unwrap(), None);
        perform(Operation::ProcessKill { pid, started })
            .await
            .unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let gone = perform(Operation::ProcessKill { pid, started }).await;
        assert_eq!(gone.unwrap_err().code, ErrorCode::NotFound);
    }

    #[tokio::test]
    async fn neither_the_first_process_nor_the_agent_is_ended() {
        for pid in [0, 1, std::process::id()] {
            let started = find(pid).await.map_or(0, |one| one.started);
            let refused = perform(Operation::ProcessKill { pid, started }).await;
            assert_eq!(refused.unwrap_err().code, ErrorCode::NotAllowed);
        }
    }
}
