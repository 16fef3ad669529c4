//! How a start of the agent stands with updates: the first thing that a start looks at, so that a version that cannot go
//! on from there is put back by itself, however it fails.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::own_version;
use super::program::Program;
use super::record::Record;
use super::record_file::RecordFile;
use super::rehearsal::fail_point;
use super::step::Start;
use crate::config::Config;

/// The running program, the record of updates, and whether this version is on trial.
#[derive(Debug, Clone)]
pub struct Trial {
    program: Program,
    file: Arc<Mutex<RecordFile>>,
    previous_version: Option<String>,
    problems: Vec<String>,
}

/// What a trial has ended with, other than with an acknowledgement.
enum Way {
    /// The program before it has its name again, and this process ends with this text.
    Back(String),
    /// There is none to go back to.
    None(String),
}

impl Trial {
    /// Looks at the record of updates and does what it says: counts a start on trial and watches its time, or puts the
    /// previous program back and starts it in the place of this process. Needs no usable configuration.
    ///
    /// # Errors
    /// A text: the process has to end.
    pub fn begin(config: &Path, as_service: bool) -> Result<Self, String> {
        let program = Program::running(config, as_service)
            .map_err(|error| format!("the agent's own program cannot be found: {error}"))?;
        let (mut file, problem) = RecordFile::open(&Config::state_dir_of(config));
        let mut problems = Vec::from_iter(problem);
        let mut start = Start::Plain;
        let counted = file.change(|record| start = record.on_start(own_version(), program.path()));
        fail_point("started");
        let on_trial = file.record().on_trial.clone();
        let mut trial = Self {
            program,
            previous_version: on_trial.map(|trial| trial.previous_version),
            file: Arc::new(Mutex::new(file)),
            problems: Vec::new(),
        };
        let reason = match (start, counted) {
            (Start::GiveWay, _) => Some("it did not reach the server".to_owned()),
            // What cannot be counted could be started for ever.
            (Start::OnTrial, Err(error)) => Some(format!("its start cannot be counted: {error}")),
            (Start::OnTrial, Ok(())) => trial.watch().err(),
            (Start::Plain | Start::Settled, Ok(())) => None,
            (Start::Plain | Start::Settled, Err(error)) => {
                problems.push(format!("the record of updates cannot be written: {error}"));
                None
            }
        };
        if matches!(start, Start::Plain | Start::Settled)
            && let Err(error) = trial.program.clear_entering()
        {
            problems.push(format!(
                "what an update has left cannot be removed: {error}"
            ));
        }
        if let Some(reason) = reason {
            match give_way(&trial.program, &mut lock(&trial.file), &reason) {
                Way::Back(text) => return Err(text),
                Way::None(problem) => problems.push(problem),
            }
        }
        trial.problems = problems;
        Ok(trial)
    }

    /// Tells what was wrong, once there is a log.
    pub fn tell(&self) {
        for problem in &self.problems {
            tracing::error!(%problem, "updates");
        }
        if let Some(previous) = &self.previous_version {
            let version = own_version();
            tracing::info!(
                version,
                previous,
                "this version is on trial until the server is reached"
            );
        }
    }

    /// The running program.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The version whose place this one has just taken.
    #[must_use]
    pub fn previous_version(&self) -> Option<String> {
        self.previous_version.clone()
    }

    /// The record as it is.
    #[must_use]
    pub fn record(&self) -> Record {
        lock(&self.file).record().clone()
    }

    /// Changes the record, and has it written; what cannot be written holds in memory.
    ///
    /// # Errors
    /// What the operating system said.
    pub async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Record) -> T + Send + 'static,
    ) -> io::Result<T> {
        let file = Arc::clone(&self.file);
        spawn_blocking(move || lock(&file).change(change))
            .await
            .map_err(io::Error::other)?
    }

    /// Starts the program again that has this one's name now; where that cannot be done, the one before it.
    ///
    /// # Errors
    /// A text: the process has to end with a failure, so that a service manager starts it again.
    pub fn restart(&self) -> Result<(), String> {
        let Err(failed) = self.program.restart() else {
            return Ok(());
        };
        if self.program.is_restarted_by_a_service_manager() {
            return Err(failed);
        }
        match give_way(&self.program, &mut lock(&self.file), &failed) {
            Way::Back(text) | Way::None(text) => Err(text),
        }
    }

    /// Watches the time of this trial on a thread of its own: whatever hangs, that one goes on.
    fn watch(&self) -> Result<(), String> {
        let Some(on_trial) = lock(&self.file).record().on_trial.clone() else {
            return Ok(());
        };
        let seconds = on_trial.confirm_seconds;
        let (program, file) = (self.program.clone(), Arc::clone(&self.file));
        let watching = move || {
            thread::sleep(Duration::from_secs(seconds));
            let mut file = lock(&file);
            if file.record().on_trial.is_none() {
                return;
            }
            let reason = format!("it did not reach the server within {seconds} s");
            tracing::error!(%reason, "the previous version is put back");
            match give_way(&program, &mut file, &reason) {
                Way::Back(text) => {
                    tracing::info!(%text, "the agent ends");
                    std::process::exit(1);
                }
                Way::None(problem) => tracing::error!(%problem, "updates"),
            }
        };
        let spawned = thread::Builder::new()
            .name("trial".to_owned())
            .spawn(watching);
        spawned
            .map(drop)
            .map_err(|error| format!("its time cannot be watched: {error}"))
    }
}

/// Puts the previous program back and starts it in the place of this process.
fn give_way(program: &Program, file: &mut RecordFile, reason: &str) -> Way {
    // Unwritten, the reason is lost, and nothing else: the previous program sees that it runs.
    let _ = file.change(|record| record.give_way(reason));
    fail_point("giving_way");
    if let Err(error) = program.put_back() {
        let problem = format!(
            "this version is kept although {reason}: {} cannot be put back: {error}",
            program.previous_path().display()
        );
        // Unwritten, the next start tries it again.
        let _ = file.change(|record| record.on_trial = None);
        return Way::None(problem);
    }
    match program.restart() {
        Ok(()) => Way::Back("the previous version was started".to_owned()),
        Err(text) => Way::Back(text),
    }
}

fn lock(file: &Mutex<RecordFile>) -> MutexGuard<'_, RecordFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}
