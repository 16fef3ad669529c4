//! What becomes of one thing that is watched: a pure step from what was seen to what is to be done. Times are those of
//! a clock that only goes forward, so a step of the machine's clock changes nothing.
//!
//! ```text
//!                    ┌───────────────── seen up: `running`, or `restarted` after a restart ──────────────┐
//!                    ▼                                                                                   │
//!   new ─seen up─▶  up  ──seen down: `stopped`──▶ down ──restarts left, cool-down over──▶ restart ──▶ down again
//!                                                   │                                          `restart_failed`
//!                                                   └──none left, cool-down over: `gave_up`──▶ given up
//! ```

use std::time::Duration;

/// What neither runs nor has ended for so long is taken as ended.
const PASSING: Duration = Duration::from_secs(120);
/// Who has run for so long, or five cool-downs, may be restarted as often as at first.
const STEADY: Duration = Duration::from_secs(600);

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It runs.
    Up,
    /// It starts or ends, in the platform's word.
    Passing(String),
    /// It does not run, in the platform's word.
    Down(String),
    /// There is no such thing, so there is nothing to be restarted.
    Missing,
    /// It could not be looked at.
    Unknown,
}

/// How something is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether it is restarted.
    pub restart: bool,
    /// How often, before it is given up.
    pub max_restarts: u32,
    /// From one restart to the next.
    pub cooldown: Duration,
}

/// What happened, as the server knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// It does not run any more.
    Stopped,
    /// It runs after a restart.
    Restarted,
    /// A restart did not help.
    RestartFailed,
    /// It is not restarted any more.
    GaveUp,
    /// It runs, again or at the first look.
    Running,
}

impl Happened {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
            Self::RestartFailed => "restart_failed",
            Self::GaveUp => "gave_up",
            Self::Running => "running",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Tell the server, with words for a person.
    Tell(Happened, String),
    /// Restart it, and call [`Watch::restarted`] with what came of it.
    Restart,
}

/// One thing that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watch {
    state: State,
    restarts: u32,
    last_restart: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum State {
    #[default]
    New,
    Up {
        since: Duration,
        passing_since: Option<Duration>,
    },
    Down {
        /// A restart has gone well, and is to show what it has done.
        tried: bool,
        passing_since: Option<Duration>,
    },
    Restarting,
    GivenUp,
}

impl Watch {
    /// Whether a restart is under way: until it has ended there is nothing to be seen.
    #[must_use]
    pub fn is_restarting(&self) -> bool {
        self.state == State::Restarting
    }

    /// Takes what was seen.
    pub fn look(&mut self, seen: &Seen, now: Duration, rules: &Rules) -> Vec<Step> {
        if self.is_restarting() {
            return Vec::new();
        }
        match seen {
            Seen::Unknown => Vec::new(),
            Seen::Up => self.up(now, rules),
            Seen::Missing => self.down("there is no such thing", now, None),
            Seen::Down(word) => self.down(&format!("it is {word}"), now, Some(rules)),
            Seen::Passing(word) => self.passing(word, now, rules),
        }
    }

    /// Takes what came of a restart.
    pub fn restarted(&mut self, outcome: Result<(), String>) -> Vec<Step> {
        if !self.is_restarting() {
            return Vec::new();
        }
        self.state = State::Down {
            tried: outcome.is_ok(),
            passing_since: None,
        };
        let failed = outcome.err().into_iter();
        failed
            .map(|problem| Step::Tell(Happened::RestartFailed, problem))
            .collect()
    }

    fn up(&mut self, now: Duration, rules: &Rules) -> Vec<Step> {
        let told = match &mut self.state {
            State::Up {
                since,
                passing_since,
            } => {
                *passing_since = None;
                if now.saturating_sub(*since) >= STEADY.max(rules.cooldown * 5) {
                    self.restarts = 0;
                }
                return Vec::new();
            }
            State::Down { tried: true, .. } => {
                let text = format!("restart {} of {}", self.restarts, rules.max_restarts);
                Step::Tell(Happened::Restarted, text)
            }
            State::New => Step::Tell(Happened::Running, "at the first look".to_owned()),
            State::GivenUp => {
                self.restarts = 0;
                Step::Tell(Happened::Running, "it was given up".to_owned())
            }
            State::Down { .. } | State::Restarting => {
                Step::Tell(Happened::Running, "without the agent's help".to_owned())
            }
        };
        self.state = State::Up {
            since: now,
            passing_since: None,
        };
        vec![told]
    }

    fn passing(&mut self, word: &str, now: Duration, rules: &Rules) -> Vec<Step> {
        let passing_since = match &mut self.state {
            State::Up { passing_since, .. } | State::Down { passing_since, .. } => passing_since,
            // At the first look it is given its time.
            State::New => {
                self.state = State::Up {
                    since: now,
                    passing_since: Some(now),
                };
                return Vec::new();
            }
            State::Restarting | State::GivenUp => return Vec::new(),
        };
        let since = *passing_since.get_or_insert(now);
        if now.saturating_sub(since) < PASSING {
            return Vec::new();
        }
        let seconds = PASSING.as_secs();
        self.down(&format!("it is {word} for {seconds} s"), now, Some(rules))
    }

    /// `rules` say what is done about it; without them it is only told.
    fn down(&mut self, problem: &str, now: Duration, rules: Option<&Rules>) -> Vec<Step> {
        let mut steps = Vec::new();
        match &mut self.state {
            State::GivenUp | State::Restarting => return steps,
            State::New | State::Up { .. } => {
                steps.push(Step::Tell(Happened::Stopped, problem.to_owned()));
                self.state = State::Down {
                    tried: false,
                    passing_since: None,
                };
            }
            State::Down { tried, .. } => {
                if std::mem::take(tried) {
                    let text = format!("after its restart {problem}");
                    steps.push(Step::Tell(Happened::RestartFailed, text));
                }
            }
        }
        let Some(rules) = rules.filter(|rules| rules.restart) else {
            return steps;
        };
        let due = self.last_restart.map(|last| last + rules.cooldown);
        if due.is_some_and(|due| now < due) {
            return steps;
        }
        if self.restarts >= rules.max_restarts {
            let text = format!("{} restarts did not help: {problem}", self.restarts);
            steps.push(Step::Tell(Happened::GaveUp, text));
            self.state = State::GivenUp;
            return steps;
        }
        self.restarts += 1;
        self.last_restart = Some(now);
        self.state = State::Restarting;
        steps.push(Step::Restart);
        steps
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
