//! The guard process: starts programs and outlives all of them that are to end.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::wire::{self, OUTPUTS, Reply, Request};
use crate::platform::unix::foreground;
use crate::platform::unix::group::ProcessGroup;
use crate::platform::unix::processes::{self, Process, Reaped};
use crate::platform::unix::trees;
use crate::platform::{Order, Remains, TERMINAL_MARK};

/// The first pause between two attempts to kill what is left, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// Looks for what is left of a terminal: what was being forked during one is found by the next.
const KILL_LOOKS: usize = 5;

/// What the guard process does, from its start to its end.
///
/// # Errors
/// When it was started by something else than an agent, or lacks something of the operating system.
pub fn guard_main(remains: Remains) -> Result<(), String> {
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from)
        .ok()
        .filter(|socket| socket.peer_addr().is_ok())
        .ok_or("the guard is started by the agent, not by hand")?;
    serve(socket, remains).map_err(|error| format!("the guard has failed: {error}"))
}

fn serve(socket: UnixStream, remains: Remains) -> io::Result<()> {
    // Fails only for a group's leader, who is then out of the agent's group anyway.
    let _ = nix::unistd::setsid();
    // What loses its parent becomes our child: nothing that is started here can get away.
    prctl::set_child_subreaper(true)?;
    let deaths = watch_signals()?;
    let mut guard = Guard {
        socket,
        deaths,
        programs: HashMap::new(),
    };
    let told = guard.follow();
    let killed = match remains {
        Remains::End => guard.end_all(),
        Remains::Stay => guard.end_programs(),
    };
    match told {
        Ok(true) => guard.reply(&Reply::Ended(killed)),
        // The agent is gone, and nobody is there to be told.
        Ok(false) | Err(_) => Ok(()),
    }
}

/// Lets the signals that stop the agent leave the guard alone, and tells of ended children by bytes.
///
/// They are caught, neither ignored nor blocked: a started program begins with what was ignored still
/// ignored and what was blocked still blocked, but forgets what was caught (execve(2)).
fn watch_signals() -> io::Result<UnixStream> {
    let unheard = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM] {
        signal_hook::flag::register(signal, Arc::clone(&unheard))?;
    }
    let (deaths, noted) = UnixStream::pair()?;
    deaths.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGCHLD, noted)?;
    Ok(deaths)
}

struct Program {
    pid: i32,
    reaped: bool,
    /// What is in the environment of all that its terminal started (`NAME=value`).
    mark: Option<String>,
}

struct Guard {
    socket: UnixStream,
    deaths: UnixStream,
    programs: HashMap<u64, Program>,
}

impl Guard {
    /// Does what the agent says until it says `End` (true) or is gone (false).
    fn follow(&mut self) -> io::Result<bool> {
        loop {
            let (asked, died) = self.wait(None)?;
            if died {
                for (id, status) in self.reap() {
                    self.reply(&Reply::Exited(id, status))?;
                }
            }
            if !asked {
                continue;
            }
            let Some((request, descriptors)) = wire::receive(&mut self.socket)? else {
                return Ok(false);
            };
            match request {
                Request::Start(id, order) => {
                    let reply = self.start(id, &order, descriptors);
                    self.reply(&reply)?;
                }
                Request::StartOnTerminal(id, order) => {
                    let reply = self.start_on_terminal(id, &order, descriptors);
                    self.reply(&reply)?;
                }
                Request::HangUp(id) => self.hang_up(id),
                Request::KillSession(id) => self.kill_session(id),
                Request::Terminate(id) => self.signal(id, Signal::SIGTERM),
                Request::Kill(id) => self.signal(id, Signal::SIGKILL),
                Request::Forget(id) => {
                    self.programs.remove(&id);
                }
                Request::End => return Ok(true),
            }
        }
    }

    /// Waits until the agent asks for something (the first) or a child has ended (the second).
    fn wait(&self, limit: Option<Duration>) -> io::Result<(bool, bool)> {
        let mut watched = [
            PollFd::new(self.deaths.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
        ];
        // Who waits with a limit is past the point of listening.
        let count = if limit.is_some() { 1 } else { 2 };
        let limit = limit.map_or(Ok(PollTimeout::NONE), PollTimeout::try_from);
        match poll(&mut watched[..count], limit.map_err(io::Error::other)?) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [died, asked] = watched.map(|one| one.any().unwrap_or(false));
        if died {
            // One byte may stand for several deaths; which, waitpid tells.
            while (&self.deaths)
                .read(&mut [0; 64])
                .is_ok_and(|count| count > 0)
            {}
        }
        Ok((asked, died))
    }

    fn start(&mut self, id: u64, order: &Order, descriptors: Vec<OwnedFd>) -> Reply {
        let Ok([stdout, stderr]) = <[OwnedFd; OUTPUTS]>::try_from(descriptors) else {
            return Reply::Failed(id, Some(Errno::EBADF as i32));
        };
        let spawned = Command::new(&order.program)
            .args(&order.arguments)
            .envs(order.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&order.directory)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn();
        self.note_started(id, spawned, None)
    }

    fn start_on_terminal(&mut self, id: u64, order: &Order, descriptors: Vec<OwnedFd>) -> Reply {
        let Ok([terminal]) = <[OwnedFd; 1]>::try_from(descriptors) else {
            return Reply::Failed(id, Some(Errno::EBADF as i32));
        };
        let spawned = foreground::command(order, terminal).and_then(|mut command| command.spawn());
        let mut variables = order.environment.iter();
        let mark = variables.find(|(name, _)| name == TERMINAL_MARK);
        let mark = mark.map(|(name, value)| format!("{name}={value}"));
        self.note_started(id, spawned, mark)
    }

    fn note_started(&mut self, id: u64, spawned: io::Result<Child>, mark: Option<String>) -> Reply {
        match spawned.map(|child| i32::try_from(child.id())) {
            Ok(Ok(pid)) => {
                let program = Program {
                    pid,
                    reaped: false,
                    mark,
                };
                self.programs.insert(id, program);
                Reply::Started(id, pid)
            }
            Ok(Err(_)) => Reply::Failed(id, None),
            Err(error) => Reply::Failed(id, error.raw_os_error()),
        }
    }

    /// Takes note of all children that have ended: programs, and orphans that came to us. Tells the
    /// programs among them, with how they ended (wait(2)).
    fn reap(&mut self) -> Vec<(u64, i32)> {
        let mut told = Vec::new();
        while let Reaped::Ended(pid, status) = processes::reap() {
            let ended = self
                .programs
                .iter_mut()
                .find(|(_, program)| program.pid == pid && !program.reaped);
            if let Some((id, program)) = ended {
                program.reaped = true;
                told.push((*id, status));
            }
        }
        told
    }

    fn signal(&self, id: u64, signal: Signal) {
        let Some(program) = self.programs.get(&id) else {
            return;
        };
        if !program.reaped {
            ProcessGroup::led_by(program.pid).signal(signal);
            return;
        }
        // The number may be another's by now: only who came from us and still is in the group counts.
        for process in processes::descendants() {
            if process.group == program.pid {
                process.signal(signal);
            }
        }
    }

    /// Tells all processes of the session that a program leads that its terminal is gone, whatever groups they are in.
    fn hang_up(&self, id: u64) {
        let Some(program) = self.programs.get(&id) else {
            return;
        };
        for process in processes::descendants() {
            if process.session == program.pid {
                process.signal(Signal::SIGHUP);
            }
        }
    }

    /// Ends all processes of the session that a program leads, and what has left it: that has the terminal's mark in
    /// its environment, or comes from one that has. What cleared its environment and lost its parents is the session's,
    /// and ends with that.
    fn kill_session(&self, id: u64) {
        let Some(program) = self.programs.get(&id) else {
            return;
        };
        let mark = program.mark.as_deref().map(str::as_bytes);
        let belongs = |process: &Process| {
            process.session == program.pid || mark.is_some_and(|mark| process.has_environment(mark))
        };
        for _ in 0..KILL_LOOKS {
            let all = processes::descendants();
            let roots: HashSet<i32> = all
                .iter()
                .filter(|process| belongs(process))
                .map(|process| process.pid)
                .collect();
            if roots.is_empty() {
                return;
            }
            trees::kill(&roots, &HashSet::new(), processes::descendants);
        }
    }

    /// Kills until no child is left and with it no descendant; tells how many were killed.
    ///
    /// There is no limit: SIGKILL cannot be refused, and what the kernel holds up (a dead network
    /// file system) or may not be killed by this user stays ours until it ends.
    fn end_all(&self) -> usize {
        let mut killed = HashSet::new();
        let (mut pause, longest) = PAUSES;
        loop {
            match processes::reap() {
                Reaped::Ended(..) => continue,
                Reaped::NoChildren => return killed.len(),
                Reaped::AllAlive => {}
            }
            for process in processes::descendants() {
                process.signal(Signal::SIGKILL);
                killed.insert((process.pid, process.started));
            }
            // An error leaves the pause out, and only that.
            if self.wait(Some(pause)).is_err() {
                std::thread::sleep(pause);
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Kills the programs that have not ended, with what belongs to them; tells how many processes
    /// that were. What ended programs left behind stays, and becomes the child of init.
    fn end_programs(&mut self) -> usize {
        let mut killed = 0;
        let (mut pause, longest) = PAUSES;
        loop {
            // Nobody waits for their ends any more, but a number that is not reaped is nobody else's.
            self.reap();
            let left = self.programs.values().filter(|program| !program.reaped);
            let leaders: HashSet<i32> = left.map(|program| program.pid).collect();
            if leaders.is_empty() {
                return killed;
            }
            killed += trees::kill(&leaders, &leaders, processes::descendants);
            if self.wait(Some(pause)).is_err() {
                std::thread::sleep(pause);
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        let (head, body) = wire::encode(reply)?;
        self.socket.write_all(&[&head[..], &body].concat())
    }
}
