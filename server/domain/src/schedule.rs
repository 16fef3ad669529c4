//! When a schedule is due. A pure decision: given until when it was decided, and what the clock says now.
//!
//! ```text
//!   decided_until ──×──────×──────×── now        the last × runs, if it is no older than the grace;
//!                 missed  missed  run            those before it, and it if it is older, are missed
//!   now ── decided_until                         the clock was set back: nothing is due, and from now
//!                                                on it is decided again (what ran is known by its time)
//! ```
//!
//! Daylight saving as Vixie cron has it: a fixed time that the clock leaps over runs right after the
//! leap, and one that comes twice runs the first time; patterns with a wildcard or a step in minute or
//! hour follow the clock on the wall.

use std::str::FromStr;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Characters of a pattern.
const CRON_CHARS: usize = 200;
/// Missed times that are counted one by one.
const COUNTED: u32 = 1000;
/// The words that stand for a pattern.
const WORDS: [&str; 6] = [
    "@hourly",
    "@daily",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
];

/// Why there is no such calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCalendar {
    /// The pattern cannot be understood.
    #[error(
        "cron has five fields, minute hour day month weekday, as \"30 2 * * MON-FRI\", or is one of @hourly, @daily, @weekly, @monthly, @yearly: {0}"
    )]
    BadCron(String),
    /// The pattern is understood and never true.
    #[error("cron never comes: no day has this month, day and weekday")]
    Never,
    /// There is no such time zone.
    #[error("time_zone is a name of the IANA database as Europe/Berlin, America/New_York or UTC")]
    BadZone,
}

impl NoCalendar {
    /// Which field is at fault.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::BadCron(_) | Self::Never => "cron",
            Self::BadZone => "time_zone",
        }
    }
}

/// A pattern in a time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    cron: Cron,
    zone: Tz,
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What is to run now.
    pub run: Option<DateTime<Utc>>,
    /// What is not made up for.
    pub missed: Option<Missed>,
    /// Until when it is decided now.
    pub decided_until: DateTime<Utc>,
}

/// Times that went by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The first.
    pub first: DateTime<Utc>,
    /// The last.
    pub last: DateTime<Utc>,
    /// How many.
    pub count: u32,
    /// Whether there are more than were counted.
    pub more: bool,
}

impl Missed {
    fn add(missed: &mut Option<Self>, at: DateTime<Utc>) {
        let known = missed.get_or_insert(Self {
            first: at,
            last: at,
            count: 0,
            more: false,
        });
        known.last = at;
        known.count = known.count.saturating_add(1);
    }
}

impl Calendar {
    /// Reads a pattern and the name of a time zone, as a schedule keeps them.
    ///
    /// # Errors
    /// What is wrong with which.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, NoCalendar> {
        let zone = Tz::from_str(zone).map_err(|_| NoCalendar::BadZone)?;
        let cron = cron.trim();
        let bad = |why: &str| Err(NoCalendar::BadCron(why.to_owned()));
        if cron.chars().count() > CRON_CHARS || !cron.is_ascii() {
            return bad("it is too long, or not ASCII");
        }
        if cron.contains('@') {
            if !WORDS.iter().any(|word| word.eq_ignore_ascii_case(cron)) {
                return bad("there is no such word");
            }
        } else if cron.split_whitespace().count() != 5 {
            // Six would begin with seconds; nothing runs more often than once a minute.
            return bad("it has another number of fields");
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(cron)
            .map_err(|error| NoCalendar::BadCron(error.to_string().to_lowercase()))?;
        Ok(Self { cron, zone })
    }

    /// The first time after `at`; none where it never comes.
    #[must_use]
    pub fn next_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = at.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        // A time that does not lie ahead would be due for ever.
        Some(next.to_utc().trunc_subsecs(0)).filter(|next| *next > at)
    }

    /// The next times after `at`.
    #[must_use]
    pub fn upcoming(&self, at: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(at), |at| self.next_after(*at))
            .take(count)
            .collect()
    }

    /// What is due.
    #[must_use]
    pub fn due(&self, decided_until: DateTime<Utc>, now: DateTime<Utc>, grace: Duration) -> Due {
        let mut due = Due {
            run: None,
            missed: None,
            decided_until: decided_until.min(now),
        };
        let mut latest: Option<DateTime<Utc>> = None;
        let mut at = decided_until;
        while at < now
            && let Some(next) = self.next_after(at).filter(|next| *next <= now)
        {
            if let Some(before) = latest.replace(next) {
                Missed::add(&mut due.missed, before);
            }
            at = next;
            if let Some(missed) = &mut due.missed
                && missed.count >= COUNTED
                && at < now - grace
            {
                missed.more = true;
                at = now - grace;
            }
        }
        if let Some(latest) = latest {
            due.decided_until = latest;
            if now - latest <= grace {
                due.run = Some(latest);
            } else {
                Missed::add(&mut due.missed, latest);
            }
        }
        due
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
