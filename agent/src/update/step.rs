//! What becomes of an update, as pure steps of its record: no clock, no file.
//!
//! ```text
//!   nothing ──begin──▶ under way ──install──▶ on trial ──acknowledged──▶ nothing, a success is told
//!      ▲                  │                   │ ▲   │ starts too often, or too late
//!      │    failed · start│              start│ │   ▼
//!      ├──────────────────┘                   └─┘  rolling back
//!      └────────────start of the previous program────┘ a failure is told
//! ```
//!
//! Which of the two programs starts is told by its version: they always differ.

use std::path::Path;

use gururmm_shared::UpdateResult;

use super::failure::Failure;
use super::record::{OnTrial, Record};

/// A program on trial that was started more often gives way.
pub const MOST_STARTS: u32 = 3;

/// What a start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Nothing is to be done about updates.
    Plain,
    /// The record is another one now.
    Settled,
    /// This version has still to reach the server; the record counts the start.
    OnTrial,
    /// This version has to give way; the record says why.
    GiveWay,
}

impl Record {
    /// A version is to be fetched and put in place.
    pub fn begin(&mut self, version: &str) {
        self.under_way = Some(version.to_owned());
    }

    /// It could not be; the server is told why.
    pub fn fail(&mut self, version: &str, failure: &Failure) {
        self.under_way = None;
        self.on_trial = None;
        self.add_result(failure.result(version));
    }

    /// A version is about to take the program's name.
    pub fn install(&mut self, trial: OnTrial) {
        self.under_way = None;
        self.on_trial = Some(trial);
    }

    /// A program of this version starts under this name.
    pub fn on_start(&mut self, version: &str, program: &Path) -> Start {
        let Some(trial) = &mut self.on_trial else {
            let Some(version) = self.under_way.take() else {
                return Start::Plain;
            };
            let reason = "the agent ended while it made the update; try it again";
            self.fail(&version, &Failure::new("install_failed", reason));
            return Start::Settled;
        };
        if trial.program == program && trial.version == version {
            if trial.rolling_back.is_none() && trial.starts >= MOST_STARTS {
                let starts = trial.starts;
                let reason = format!("it was started {starts} times and did not reach the server");
                trial.rolling_back = Some(reason);
            }
            if trial.rolling_back.is_some() {
                return Start::GiveWay;
            }
            trial.starts += 1;
            return Start::OnTrial;
        }
        let (tried, rolled_back) = (trial.version.clone(), trial.rolling_back.take());
        let failure = match rolled_back {
            Some(reason) => Failure::new("rolled_back", reason),
            None if trial.starts > 0 => {
                let reason = "another program was put in its place before it reached the server";
                Failure::new("rolled_back", reason)
            }
            None => {
                let reason = "the agent ended before the new version was started; try it again";
                Failure::new("install_failed", reason)
            }
        };
        self.fail(&tried, &failure);
        Start::Settled
    }

    /// The server has acknowledged this program; tells whether that ends a trial.
    pub fn on_acknowledged(&mut self) -> bool {
        match self.on_trial.take() {
            Some(trial) if trial.rolling_back.is_none() => {
                self.add_result(UpdateResult {
                    version: Some(trial.version),
                    success: true,
                    error: None,
                    code: None,
                });
                true
            }
            other => {
                self.on_trial = other;
                false
            }
        }
    }

    /// The program on trial has to give way; false where none is on trial.
    pub fn give_way(&mut self, reason: &str) -> bool {
        let Some(trial) = &mut self.on_trial else {
            return false;
        };
        trial.rolling_back.get_or_insert_with(|| reason.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> &'static Path {
        Path::new("/usr/bin/gururmm-agent")
    }

    fn on_trial() -> Record {
        let mut record = Record::default();
        record.begin("0.2.0");
        record.install(OnTrial {
            version: "0.2.0".to_owned(),
            previous_version: "0.1.0".to_owned(),
            program: program().to_owned(),
            confirm_seconds: 120,
            starts: 0,
            rolling_back: None,
        });
        record
    }

    fn code(record: &Record) -> Option<&str> {
        assert_eq!(record.results.len(), 1);
        assert_eq!(record.results[0].version.as_deref(), Some("0.2.0"));
        record.results[0].code.as_deref()
    }

    #[test]
    fn a_start_without_an_update_changes_nothing() {
        let mut record = Record::default();
        assert_eq!(record.on_start("0.1.0", program()), Start::Plain);
        assert!(record.is_empty());
        assert!(!record.on_acknowledged());
        assert!(!record.give_way("x"));
        assert!(record.is_empty());
    }

    #[test]
    fn an_acknowledged_trial_becomes_a_success() {
        let mut record = on_trial();
        assert_eq!(record.on_start("0.2.0", program()), Start::OnTrial);
        assert!(record.on_acknowledged());
        assert!(record.results[0].success);
        assert_eq!(code(&record), None);
        assert_eq!(record.on_start("0.2.0", program()), Start::Plain);
    }

    #[test]
    fn the_fourth_start_gives_way_and_so_does_each_one_after_it() {
        let mut record = on_trial();
        for _ in 0..MOST_STARTS {
            assert_eq!(record.on_start("0.2.0", program()), Start::OnTrial);
        }
        for _ in 0..2 {
            assert_eq!(record.on_start("0.2.0", program()), Start::GiveWay);
        }
        assert!(!record.on_acknowledged(), "it is too late for that");
        assert_eq!(record.on_start("0.1.0", program()), Start::Settled);
        assert_eq!(code(&record), Some("rolled_back"));
        assert_eq!(record.on_start("0.1.0", program()), Start::Plain);
    }

    #[test]
    fn a_trial_that_takes_too_long_is_told_with_its_reason_by_the_previous_program() {
        let mut record = on_trial();
        record.on_start("0.2.0", program());
        assert!(record.give_way("too late"));
        assert!(record.give_way("another reason"));
        assert_eq!(record.on_start("0.2.0", program()), Start::GiveWay);
        assert_eq!(record.on_start("0.1.0", program()), Start::Settled);
        assert_eq!(code(&record), Some("rolled_back"));
        assert_eq!(record.results[0].error.as_deref(), Some("too late"));
    }

    #[test]
    fn an_old_program_that_finds_an_unstarted_trial_says_that_nothing_was_installed() {
        let mut record = on_trial();
        assert_eq!(record.on_start("0.1.0", program()), Start::Settled);
        assert_eq!(code(&record), Some("install_failed"));
        assert!(record.on_trial.is_none());
    }

    #[test]
    fn a_program_elsewhere_is_not_the_one_on_trial() {
        let mut record = on_trial();
        let start = record.on_start("0.2.0", Path::new("/opt/gururmm-agent"));
        assert_eq!(start, Start::Settled);
        assert!(record.on_trial.is_none());
    }

    #[test]
    fn an_update_that_the_agents_end_cut_off_is_told_as_failed() {
        let mut record = Record::default();
        record.begin("0.2.0");
        assert_eq!(record.on_start("0.1.0", program()), Start::Settled);
        assert_eq!(code(&record), Some("install_failed"));
        assert_eq!(record.under_way, None);
    }

    #[test]
    fn results_that_nobody_takes_do_not_grow_for_ever() {
        let mut record = Record::default();
        for number in 0..100 {
            record.fail(&number.to_string(), &Failure::new("expired", "x"));
        }
        assert_eq!(record.results.len(), super::super::record::MOST_RESULTS);
        assert_eq!(record.results[0].version.as_deref(), Some("84"));
    }
}
