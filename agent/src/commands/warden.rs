//! Who starts the commands outside tunnels: one guard for all of them, made for the first command and
//! again whenever it is gone.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::platform::{Guard, Launcher, Remains};

/// The warden.
#[derive(Debug)]
pub struct Warden {
    program: Option<PathBuf>,
    guard: Option<Guard>,
}

impl Warden {
    /// A warden without a guard yet; `program` is this agent's own program.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self {
            program: Some(program),
            guard: None,
        }
    }

    /// A warden that lets the agent itself start programs: what it runs outlives its `kill -9`.
    #[must_use]
    pub fn without_guard() -> Self {
        Self {
            program: None,
            guard: None,
        }
    }

    /// Who starts the next program.
    ///
    /// # Errors
    /// What the operating system said when the guard was started.
    pub fn launcher(&mut self) -> io::Result<Launcher> {
        let Some(program) = &self.program else {
            return Ok(Launcher::Agent);
        };
        let guard = match self.guard.take() {
            Some(guard) if !guard.is_gone() => guard,
            gone => {
                if gone.is_some() {
                    tracing::warn!("the guard of commands is gone: another one is started");
                }
                Guard::start(program, Remains::Stay)?
            }
        };
        let launcher = Launcher::Guard(guard.starter());
        self.guard = Some(guard);
        Ok(launcher)
    }

    /// Ends the guard, and what has not ended by now.
    pub async fn end(&mut self, patience: Duration) {
        let Some(guard) = self.guard.take() else {
            return;
        };
        match guard.end(patience).await {
            Some(0) => {}
            Some(killed) => tracing::warn!(killed, "commands had to be killed at the agent's end"),
            None => tracing::warn!("the guard of commands has not ended yet: it goes on by itself"),
        }
    }
}
