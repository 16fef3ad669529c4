//! Processes, as the operating system lists them. Blocks its thread for a moment: callers move it off the runtime.

use std::path::Path;

use sysinfo::{Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::watch::Seen;
use crate::config::WatchedProcess;
use crate::platform::is_same_program;

/// What Linux puts behind the path of a program whose file was replaced.
const REPLACED: &str = " (deleted)";
/// Bytes of a name that Linux keeps where the program's file is not shown.
const SHORT_NAME: usize = 15;

/// Looks for each of the processes; nothing is seen where they cannot be listed.
pub(super) fn look(wanted: &[WatchedProcess]) -> Vec<Seen> {
    let Ok(mut system) = System::new() else {
        return vec![Seen::Unknown; wanted.len()];
    };
    let kind = ProcessRefreshKind::nothing()
        .with_exe(UpdateKind::Always)
        .without_tasks();
    if system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind) == 0 {
        return vec![Seen::Unknown; wanted.len()];
    }
    let running: Vec<&Process> = system
        .processes()
        .values()
        .filter(|process| process.thread_kind().is_none() && lives(process))
        .collect();
    let seen = |wanted: &WatchedProcess| {
        if running.iter().any(|process| is_it(process, wanted)) {
            return Seen::Up;
        }
        Seen::Down("not among the processes".to_owned())
    };
    wanted.iter().map(seen).collect()
}

fn lives(process: &Process) -> bool {
    !matches!(
        process.status(),
        ProcessStatus::Zombie | ProcessStatus::Dead
    )
}

fn is_it(process: &Process, wanted: &WatchedProcess) -> bool {
    let program = process.exe().map(Path::to_string_lossy);
    let program = program.as_deref().unwrap_or_default();
    let program = program.strip_suffix(REPLACED).unwrap_or(program);
    if let Some(path) = &wanted.path {
        return is_same_program(program, &path.to_string_lossy());
    }
    let Some(name) = wanted.name.as_deref() else {
        return false;
    };
    let file = Path::new(program).file_name().unwrap_or_default();
    if is_same_program(&file.to_string_lossy(), name) {
        return true;
    }
    // What runs by an interpreter, and what does not show its file.
    let short = name.get(..SHORT_NAME).unwrap_or(name);
    let told = process.name().to_string_lossy();
    is_same_program(&told, name) || is_same_program(&told, short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> WatchedProcess {
        WatchedProcess {
            name: Some(name.to_owned()),
            path: None,
        }
    }

    #[test]
    fn a_process_is_found_by_the_name_and_by_the_path_of_its_program_and_no_other() {
        let own = std::env::current_exe().unwrap();
        let name = own.file_name().unwrap().to_string_lossy().into_owned();
        let by_path = WatchedProcess {
            name: None,
            path: Some(own),
        };
        let seen = look(&[named(&name), by_path, named("gururmm-no-such-process")]);
        assert_eq!(seen[..2], [Seen::Up, Seen::Up]);
        assert!(matches!(seen[2], Seen::Down(_)), "{seen:?}");
    }
}
