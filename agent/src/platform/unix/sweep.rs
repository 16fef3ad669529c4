//! The sweep: what is done where a guard was killed, so that its programs are nobody's descendants any
//! more.
//!
//! Every command of a session has the session's mark in its environment (one outside of sessions has
//! its own id there), and what it starts inherits
//! it through fork, setsid, nohup and a double fork. Doomed is a process with the mark, and one whose
//! parent, group leader or session leader is doomed. What is not reached: a process that drops its
//! environment *and* leaves its parents behind, and work handed to another service (cron, systemd,
//! a container engine). A group or session is never taken as a whole for one member's sake: the
//! commands share their session with the agent and perhaps with an administrator's own shell.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::processes::{self, Process};

/// The name of the environment variable that holds the mark of a session.
pub const SESSION_MARK: &str = "GURURMM_TUNNEL_MARK";

/// The name of the environment variable that holds the mark of a terminal.
pub const TERMINAL_MARK: &str = "GURURMM_TERMINAL_MARK";

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// How many processes were killed.
    pub killed: usize,
    /// How many were still there when its time was over.
    pub left: usize,
}

/// Kills the processes with the mark `entry` (`NAME=value`) until none is left, for at most `patience`.
///
/// Blocks its thread. Two empty passes end it, since one can miss a process that is being forked.
#[must_use]
pub fn sweep(entry: &str, patience: Duration) -> Sweep {
    let deadline = Instant::now() + patience;
    let mut killed = HashSet::new();
    let mut empty_passes = 0;
    let mut pause = Duration::from_millis(1);
    loop {
        let doomed = doomed(&processes::all(), entry.as_bytes());
        for process in &doomed {
            process.signal(Signal::SIGKILL);
            killed.insert((process.pid, process.started));
        }
        empty_passes = if doomed.is_empty() {
            empty_passes + 1
        } else {
            0
        };
        if empty_passes == 2 || Instant::now() >= deadline {
            return Sweep {
                killed: killed.len(),
                left: doomed.len(),
            };
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn doomed(all: &[Process], entry: &[u8]) -> Vec<Process> {
    let marked = all
        .iter()
        .filter(|process| process.has_environment(entry))
        .map(|one| one.pid);
    closure(
        all,
        marked.collect(),
        i32::try_from(std::process::id()).unwrap_or(0),
    )
}

/// All of `all` that are in `pids` or follow somebody who is; never `own`.
fn closure(all: &[Process], mut pids: HashSet<i32>, own: i32) -> Vec<Process> {
    pids.remove(&own);
    loop {
        let before = pids.len();
        for process in all.iter().filter(|process| process.pid != own) {
            if [process.parent, process.group, process.session]
                .iter()
                .any(|pid| pids.contains(pid))
            {
                pids.insert(process.pid);
            }
        }
        if pids.len() == before {
            return all
                .iter()
                .filter(|process| pids.contains(&process.pid))
                .copied()
                .collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        Process {
            pid,
            parent,
            group,
            session,
            started: 1,
        }
    }

    #[test]
    fn a_daemon_with_a_session_of_its_own_is_found_by_its_mark_and_ended() {
        let mark = crate::device::random_hex::<16>();
        let mut shell = std::process::Command::new("/bin/sh")
            .args([
                "-c",
                "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!",
            ])
            .env(SESSION_MARK, &mark)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert!(shell.wait().unwrap().success());
        let pid = std::io::read_to_string(shell.stdout.take().unwrap()).unwrap();
        let pid = pid.trim().parse().unwrap();
        assert!(Process::read(pid).is_some());
        let patience = Duration::from_secs(10);
        let entry = format!("{SESSION_MARK}={mark}");
        assert_eq!(sweep(&entry, patience), Sweep { killed: 1, left: 0 });
        assert_eq!(Process::read(pid), None);
        assert_eq!(sweep(&entry, patience), Sweep { killed: 0, left: 0 });
    }

    #[test]
    fn followers_of_a_doomed_process_are_doomed_and_its_neighbours_are_not() {
        let all = [
            process(10, 1, 10, 10),  // an administrator's shell
            process(20, 10, 20, 10), // the agent
            process(30, 20, 30, 10), // a command, marked
            process(31, 30, 30, 10), // its child
            process(32, 1, 30, 10),  // in its group
            process(40, 31, 40, 40), // a grandchild with a session of its own
            process(41, 1, 41, 40),  // in that session
            process(50, 20, 50, 10), // another command of the agent
        ];
        let doomed = closure(&all, HashSet::from([30]), 20);
        let pids: Vec<i32> = doomed.iter().map(|process| process.pid).collect();
        assert_eq!(pids, [30, 31, 32, 40, 41]);
        assert!(closure(&all, HashSet::from([20]), 20).is_empty());
    }
}
