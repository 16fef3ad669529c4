//! A running program with all that belongs to it: its process group, and the descendants of both.
//!
//! To kill them one by one would lose some: what loses its parent becomes somebody else's child, and
//! what is not killed yet goes on forking. So all are stopped first, until a look finds no new one, and
//! killed then. A process that has left its group *and* its parents is a daemon and no part of it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::processes::{self, Process};
use crate::platform::Leader;

/// Looks in which new processes may be found; more is a program that forks faster than it is stopped.
const LOOKS: usize = 100;

impl Leader {
    /// The leader with this number; none if it has ended already.
    #[must_use]
    pub(super) fn of(pid: i32) -> Option<Self> {
        Process::read(pid).map(|process| Self {
            pid,
            started: process.started,
        })
    }

    /// Ends the program that this one leads, for at most `patience`; tells how many processes that
    /// were. `entry` (`NAME=value`) is in the environment of the program and of nothing else.
    ///
    /// For programs that nobody watches any more. Blocks its thread.
    #[must_use]
    pub fn end_remains(self, entry: &str, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        let mut killed = 0;
        loop {
            let all = processes::all();
            let remains = all.iter().filter(|process| {
                let is_leader = process.pid == self.pid && process.started == self.started;
                (is_leader || process.group == self.pid)
                    && process.has_environment(entry.as_bytes())
            });
            let remains: HashSet<i32> = remains.map(|process| process.pid).collect();
            if remains.is_empty() || Instant::now() >= deadline {
                return killed;
            }
            killed += kill(&remains, &HashSet::new(), processes::all);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Kills `roots`, the members of `groups` and the descendants of both among those that `look` finds;
/// tells how many processes that were.
pub(super) fn kill(
    roots: &HashSet<i32>,
    groups: &HashSet<i32>,
    look: impl Fn() -> Vec<Process>,
) -> usize {
    let mut stopped: Vec<Process> = Vec::new();
    for _ in 0..LOOKS {
        let mut found = tree(&look(), roots, groups);
        found.retain(|process| !stopped.contains(process));
        if found.is_empty() {
            break;
        }
        for process in &found {
            process.signal(Signal::SIGSTOP);
        }
        stopped.append(&mut found);
    }
    for process in &stopped {
        process.signal(Signal::SIGKILL);
    }
    stopped.len()
}

/// All of `all` that are in `roots` or `groups`, or come from one that is.
fn tree(all: &[Process], roots: &HashSet<i32>, groups: &HashSet<i32>) -> Vec<Process> {
    let mut found = roots.clone();
    loop {
        let before = found.len();
        for process in all {
            if groups.contains(&process.group) || found.contains(&process.parent) {
                found.insert(process.pid);
            }
        }
        if found.len() == before {
            let known = all.iter().filter(|process| found.contains(&process.pid));
            return known.copied().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32) -> Process {
        Process {
            pid,
            parent,
            group,
            session: 1,
            started: 1,
        }
    }

    #[test]
    fn group_and_descendants_belong_to_a_program_and_its_daemons_do_not() {
        let all = [
            process(30, 20, 30), // the program
            process(31, 30, 30), // its child
            process(32, 20, 30), // an orphan in its group
            process(40, 31, 40), // a descendant with a group of its own
            process(41, 32, 41), // the orphan's child
            process(50, 20, 50), // a daemon: neither its group nor its parents
            process(60, 20, 60), // another program
        ];
        let leaders = HashSet::from([30]);
        let pids: Vec<i32> = tree(&all, &leaders, &leaders)
            .iter()
            .map(|process| process.pid)
            .collect();
        assert_eq!(pids, [30, 31, 32, 40, 41]);
    }

    #[test]
    fn what_remains_of_a_program_is_ended_and_another_one_is_not_mistaken_for_it() {
        let mark = crate::device::random_hex::<16>();
        let mut program = std::process::Command::new("/bin/sh");
        program
            .args(["-c", "sleep 1000 & sleep 1000"])
            .env("GURURMM_TEST_MARK", &mark);
        std::os::unix::process::CommandExt::process_group(&mut program, 0);
        let mut program = program.spawn().unwrap();
        let leader = Leader::of(i32::try_from(program.id()).unwrap()).unwrap();
        let patience = Duration::from_secs(10);
        let entry = format!("GURURMM_TEST_MARK={mark}");
        assert_eq!(leader.end_remains("GURURMM_TEST_MARK=other", patience), 0);
        assert!(program.try_wait().unwrap().is_none());
        assert!(leader.end_remains(&entry, patience) > 0);
        assert!(!program.wait().unwrap().success());
        assert_eq!(leader.end_remains(&entry, patience), 0);
    }
}
