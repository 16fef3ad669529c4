//! Runs one program: in a process group of its own, its output as it comes, its time limited.
//!
//! ```text
//!   running ──exits──▶ draining ──both pipes end, or 500 ms without output──▶ ended
//!      │ time-out, cancel: SIGTERM to the group, 2 s later SIGKILL               ▲
//!      └──▶ ending ──exits──▶ draining (not if output may not be read) ──────────┘
//! ```
//!
//! Neither the time-out nor a cancellation needs the reader to make progress: they hold for a program
//! that is blocked because nobody takes its output.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use gururmm_shared::EndReason;
use tokio::time::{Instant, sleep_until};

use super::job::{Ending, Job, Progress, Stream};
use super::pipe::Pipe;
use crate::platform::{self, Launched, Launcher, Leader, Order, Output, Running};

/// Between the request to end and the end by force.
const GRACE: Duration = Duration::from_secs(2);

/// The same where the agent itself is about to end.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// A program has exited but somebody holds its pipes: so long without output is waited for more.
const QUIET: Duration = Duration::from_millis(500);

/// The exit code of a command that ran longer than it may.
const TIMED_OUT: i32 = 124;

/// A running program; dropping it kills its group.
#[derive(Debug)]
pub struct Execution {
    running: Running,
    stdout: Pipe<Output>,
    stderr: Pipe<Output>,
    started: Instant,
    times_out: Option<Instant>,
    killed_at: Option<Instant>,
    reason: Option<EndReason>,
    exited: Option<(ExitStatus, Instant)>,
    last_output: Instant,
    reading: bool,
    abandoned: bool,
    unwatched: bool,
    finished: bool,
}

impl Execution {
    /// Starts a program with nothing to read.
    ///
    /// # Errors
    /// Why it cannot be started, from the operating system.
    pub async fn start(job: Job, launcher: &Launcher) -> io::Result<Self> {
        let order = Order {
            program: job.invocation.program,
            name: None,
            arguments: job.invocation.arguments,
            environment: job.environment,
            directory: job.directory.unwrap_or_else(platform::home_directory),
        };
        let started = Instant::now();
        let Launched {
            running,
            stdout,
            stderr,
        } = launcher.launch(order).await?;
        Ok(Self {
            running,
            stdout: Pipe::new(Some(stdout)),
            stderr: Pipe::new(Some(stderr)),
            started,
            times_out: Some(started + job.timeout),
            killed_at: None,
            reason: None,
            exited: None,
            last_output: started,
            reading: true,
            abandoned: false,
            unwatched: false,
            finished: false,
        })
    }

    /// Asks the program to end and ends it by force if it does not.
    pub fn cancel(&mut self) {
        if self.reason.is_none() {
            self.end(EndReason::Cancelled);
        }
    }

    /// The same with less patience: the agent itself is about to end.
    pub fn interrupt(&mut self) {
        if self.reason.is_none() {
            self.end(EndReason::Interrupted);
        }
        let soon = Instant::now() + LAST_GRACE;
        self.killed_at = self.killed_at.map(|at| at.min(soon));
    }

    /// The program's first process; none if it has ended already.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        self.running.leader()
    }

    /// Whether nobody knows how the program fares, or can end it by this: its guard is gone.
    #[must_use]
    pub fn is_unwatched(&self) -> bool {
        self.unwatched
    }

    /// Waits for the next thing to happen. Output is read only if `read`; else a program that writes
    /// blocks. Cancel safe.
    pub async fn next(&mut self, read: bool) -> Progress {
        if read && !self.reading {
            // The time in which nothing might be read is no silence of the program.
            self.last_output = Instant::now();
        }
        self.reading = read;
        loop {
            if let Some(ending) = self.ending() {
                return Progress::Ended(ending);
            }
            let deadline = self.deadline();
            let (stream, text) = tokio::select! {
                status = self.running.wait(), if self.exited.is_none() => {
                    self.note_exit(status);
                    continue;
                }
                text = self.stdout.read(), if read && !self.stdout.has_ended() => (Stream::Stdout, text),
                text = self.stderr.read(), if read && !self.stderr.has_ended() => (Stream::Stderr, text),
                () = at(deadline) => {
                    self.deadline_passed();
                    continue;
                }
            };
            self.last_output = Instant::now();
            if !text.is_empty() {
                return Progress::Output(stream, text);
            }
        }
    }

    fn note_exit(&mut self, status: io::Result<ExitStatus>) {
        let status = status.unwrap_or_else(|error| {
            tracing::error!(%error, "the end of a program cannot be waited for");
            self.unwatched = true;
            platform::unknown_end()
        });
        let now = Instant::now();
        self.exited = Some((status, now));
        self.last_output = now;
    }

    fn drained(&self) -> bool {
        self.stdout.has_ended() && self.stderr.has_ended()
    }

    fn deadline(&self) -> Option<Instant> {
        let silence = (self.exited.is_some() && self.reading).then_some(self.last_output + QUIET);
        [self.times_out, self.killed_at, silence]
            .into_iter()
            .flatten()
            .min()
    }

    fn deadline_passed(&mut self) {
        let now = Instant::now();
        if self.times_out.is_some_and(|at| now >= at) {
            self.times_out = None;
            match self.exited {
                None => self.end(EndReason::TimedOut),
                // It ended in time; what it left running has no more time either.
                Some(_) => self.running.kill(),
            }
        }
        if self.killed_at.is_some_and(|at| now >= at) {
            self.killed_at = None;
            self.running.kill();
        }
        if self.exited.is_some() && self.reading && now >= self.last_output + QUIET {
            self.abandoned = true;
        }
    }

    fn end(&mut self, reason: EndReason) {
        self.reason = Some(reason);
        self.times_out = None;
        if self.exited.is_some() {
            self.abandoned = true;
            return;
        }
        self.running.terminate();
        self.killed_at = Some(Instant::now() + GRACE);
    }

    fn ending(&mut self) -> Option<Ending> {
        let (status, at) = self.exited?;
        let hopeless = self.abandoned || (self.reason.is_some() && !self.reading);
        if !self.drained() && !hopeless {
            return None;
        }
        if self.reason.is_some() || !self.drained() {
            self.running.kill();
        }
        self.finished = true;
        let by_signal = platform::signal_code(status);
        let exit_code = status.code().or(by_signal).unwrap_or(-1);
        Some(Ending {
            exit_code: if self.reason == Some(EndReason::TimedOut) {
                TIMED_OUT
            } else {
                exit_code
            },
            reason: self.reason.or(by_signal.map(|_| EndReason::Signalled)),
            duration: at - self.started,
        })
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        if !self.finished {
            self.running.kill();
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[cfg(unix)]
#[path = "executor_tests.rs"]
mod tests;

#[cfg(test)]
#[cfg(windows)]
#[path = "executor_windows_tests.rs"]
mod tests;
