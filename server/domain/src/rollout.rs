//! How a release comes to a fleet: in waves, each a larger share of it, and no further where it fails.
//!
//! ```text
//!            pause ──▶ paused ──▶ resume
//!   running ─────────────────────────────▶ … ─▶ completed: the last wave has nobody left
//!      ├─▶ failed: too many of those that have ended failed
//!      └─▶ stopped: somebody said so
//! ```
//!
//! Which wave an agent is in follows from its id and the rollout's alone: it is the same after a restart, and
//! others go first the next time.

use chrono::{DateTime, TimeDelta, Utc};
use gururmm_shared::{AgentId, RolloutId};
use sha2::{Digest, Sha256};

/// Waves of a rollout at most.
pub const MOST_WAVES: usize = 20;
/// How many of those that a wave's update was sent to have ended before the next one begins.
const ENOUGH_PERCENT: u64 = 90;

/// What a rollout was asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Percentages that rise to 100; each wave has those of the waves before in it.
    pub waves: Vec<u8>,
    /// How long a wave lasts at least.
    pub soak_seconds: u32,
    /// How many of those that have ended may fail.
    pub max_failed_percent: u8,
}

/// How far the agents of one wave are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Not sent yet: away, or too many are under way.
    pub pending: u64,
    /// Sent, with no word of how it ended.
    pub sent: u64,
    /// They run it.
    pub completed: u64,
    /// They do not.
    pub failed: u64,
}

impl Tally {
    /// Those that have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.completed + self.failed
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.pending + self.sent + self.ended()
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            pending: self.pending + other.pending,
            sent: self.sent + other.sent,
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
        }
    }
}

/// What is to be done with a rollout that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// The wave of this number, counted from 0, begins.
    Begin(usize),
    /// It has come to all.
    Complete,
    /// It stops by itself: so many of those that have ended failed.
    Fail {
        /// So many.
        failed: u64,
        /// Of so many.
        ended: u64,
    },
}

impl Plan {
    /// Whether the values can be used.
    ///
    /// # Errors
    /// Which rule of the waves they break.
    pub fn check(&self) -> Result<(), &'static str> {
        let rise = self.waves.windows(2).all(|pair| pair[0] < pair[1]);
        if self.waves.is_empty() || self.waves.len() > MOST_WAVES {
            Err("must be 1 to 20 percentages")
        } else if !rise || self.waves.first() == Some(&0) {
            Err("must be percentages above 0, each larger than the one before")
        } else if self.waves.last() != Some(&100) {
            Err("must end with 100")
        } else {
            Ok(())
        }
    }

    /// In which wave an agent is, counted from 0.
    #[must_use]
    pub fn wave_of(&self, rollout: RolloutId, agent: AgentId) -> usize {
        let share = permille_of(rollout, agent);
        let first = self
            .waves
            .iter()
            .position(|percent| share < u16::from(*percent) * 10);
        first.unwrap_or(self.waves.len().saturating_sub(1))
    }

    /// What is to be done: at the wave `wave` since `began_at`, with one tally for each wave up to it.
    #[must_use]
    pub fn step(
        &self,
        wave: usize,
        began_at: DateTime<Utc>,
        tallies: &[Tally],
        now: DateTime<Utc>,
    ) -> Step {
        let all = tallies.iter().fold(Tally::default(), Tally::plus);
        let too_many = all.failed * 100 > u64::from(self.max_failed_percent) * all.ended();
        if all.failed > 0 && too_many {
            return Step::Fail {
                failed: all.failed,
                ended: all.ended(),
            };
        }
        let last = wave + 1 >= self.waves.len();
        if all.total() == 0 && !last {
            // Of a small fleet the first percent may be nobody: there is nothing to wait for.
            return Step::Begin(wave + 1);
        }
        let soaked = now - began_at >= TimeDelta::seconds(self.soak_seconds.into());
        if last {
            let nobody_left = all.pending == 0 && all.sent == 0;
            return if nobody_left && soaked {
                Step::Complete
            } else {
                Step::Wait
            };
        }
        // Who is away holds nobody up, but one has to run it: no news is no good news.
        let started = all.sent + all.ended();
        let enough = all.completed > 0 && all.ended() * 100 >= ENOUGH_PERCENT * started;
        if soaked && enough {
            Step::Begin(wave + 1)
        } else {
            Step::Wait
        }
    }
}

/// Where an agent stands in the order of a rollout, from 0 to 999.
#[must_use]
pub fn permille_of(rollout: RolloutId, agent: AgentId) -> u16 {
    let mut hash = Sha256::new();
    hash.update(rollout.0.as_bytes());
    hash.update(agent.0.as_bytes());
    let digest = hash.finalize();
    let wide = digest
        .iter()
        .take(8)
        .fold(0_u64, |wide, byte| (wide << 8) | u64::from(*byte));
    u16::try_from(wide % 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn plan() -> Plan {
        Plan {
            waves: vec![1, 10, 100],
            soak_seconds: 3600,
            max_failed_percent: 5,
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn tally(pending: u64, sent: u64, completed: u64, failed: u64) -> Tally {
        Tally {
            pending,
            sent,
            completed,
            failed,
        }
    }

    fn agents(count: u128) -> impl Iterator<Item = AgentId> {
        (0..count).map(|number| AgentId(Uuid::from_u128(number)))
    }

    #[test]
    fn each_wave_has_its_share_of_the_fleet_and_the_next_rollout_begins_elsewhere() {
        let plan = plan();
        let (one, two) = (RolloutId(Uuid::from_u128(1)), RolloutId(Uuid::from_u128(2)));
        let mut counts = [0_u32; 3];
        let mut same = 0;
        for agent in agents(20_000) {
            let wave = plan.wave_of(one, agent);
            assert_eq!(wave, plan.wave_of(one, agent), "by the ids alone");
            counts[wave] += 1;
            same += u32::from(wave == 0 && plan.wave_of(two, agent) == 0);
        }
        assert!((140..260).contains(&counts[0]), "{counts:?}");
        assert!((1600..2000).contains(&counts[1]), "{counts:?}");
        assert_eq!(counts.iter().sum::<u32>(), 20_000);
        assert!(same < 20, "{same} of the first wave are first again");
    }

    #[test]
    fn every_permille_comes_about_as_often_as_any_other() {
        let rollout = RolloutId(Uuid::from_u128(7));
        let mut tenths = [0_u32; 10];
        for agent in agents(10_000) {
            tenths[usize::from(permille_of(rollout, agent) / 100)] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1150).contains(count)),
            "{tenths:?}"
        );
    }

    #[test]
    fn whoever_is_in_a_wave_is_in_all_larger_ones() {
        let rollout = RolloutId(Uuid::from_u128(3));
        for agent in agents(2_000) {
            let mut before = usize::MAX;
            for percent in 1..100 {
                let plan = Plan {
                    waves: vec![percent, 100],
                    ..plan()
                };
                let wave = plan.wave_of(rollout, agent);
                assert!(wave <= before, "{agent} leaves at {percent} %");
                before = wave;
            }
        }
    }

    #[test]
    fn the_next_wave_waits_for_its_time_and_for_one_that_runs_it() {
        let plan = plan();
        let step = |tally: Tally, seconds| plan.step(0, at(0), &[tally], at(seconds));
        assert_eq!(step(tally(0, 0, 3, 0), 3599), Step::Wait, "too early");
        assert_eq!(step(tally(0, 0, 3, 0), 3600), Step::Begin(1));
        assert_eq!(
            step(tally(9, 0, 1, 0), 3600),
            Step::Begin(1),
            "nine are away"
        );
        assert_eq!(step(tally(3, 0, 0, 0), 3600), Step::Wait, "nobody has it");
        assert_eq!(
            step(tally(0, 3, 0, 0), 3600),
            Step::Wait,
            "nothing is known"
        );
        assert_eq!(
            step(tally(0, 2, 10, 0), 3600),
            Step::Wait,
            "too few have ended"
        );
        assert_eq!(step(tally(0, 1, 10, 0), 3600), Step::Begin(1));
    }

    #[test]
    fn a_wave_without_anybody_is_passed_at_once() {
        let nobody = Tally::default();
        assert_eq!(plan().step(0, at(0), &[nobody], at(0)), Step::Begin(1));
        let waves = [nobody, nobody];
        assert_eq!(plan().step(1, at(0), &waves, at(0)), Step::Begin(2));
        let waves = [nobody, nobody, nobody];
        assert_eq!(plan().step(2, at(0), &waves, at(0)), Step::Wait);
        assert_eq!(plan().step(2, at(0), &waves, at(3600)), Step::Complete);
    }

    #[test]
    fn it_is_over_when_the_last_wave_has_nobody_left() {
        let plan = plan();
        let step = |last: Tally| {
            let waves = [tally(0, 0, 1, 0), tally(0, 0, 9, 0), last];
            plan.step(2, at(0), &waves, at(9999))
        };
        assert_eq!(step(tally(1, 0, 80, 0)), Step::Wait, "one is away");
        assert_eq!(step(tally(0, 1, 80, 0)), Step::Wait, "one is at it");
        assert_eq!(step(tally(0, 0, 80, 1)), Step::Complete);
    }

    #[test]
    fn it_stops_by_itself_when_more_fail_than_may() {
        let plan = plan();
        for failed in 0..=40 {
            for completed in 0..=200 {
                let step = plan.step(0, at(0), &[tally(5, 5, completed, failed)], at(0));
                let too_many = failed * 20 > failed + completed;
                assert_eq!(
                    matches!(step, Step::Fail { .. }),
                    failed > 0 && too_many,
                    "{failed} failed, {completed} did not"
                );
            }
        }
        let all = Plan {
            max_failed_percent: 100,
            ..plan
        };
        assert_eq!(all.step(0, at(0), &[tally(0, 0, 0, 9)], at(0)), Step::Wait);
        let none = Plan {
            max_failed_percent: 0,
            ..all
        };
        let fail = Step::Fail {
            failed: 1,
            ended: 1000,
        };
        assert_eq!(none.step(0, at(0), &[tally(0, 0, 999, 1)], at(0)), fail);
    }

    #[test]
    fn waves_rise_from_above_nothing_to_all() {
        let check = |waves: &[u8]| {
            let waves = waves.to_vec();
            Plan { waves, ..plan() }.check()
        };
        assert_eq!(check(&[1, 10, 100]), Ok(()));
        assert_eq!(check(&[100]), Ok(()));
        for bad in [&[][..], &[0, 100], &[10, 10, 100], &[50, 20, 100], &[50]] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert!(
            check(&(80..=100).collect::<Vec<u8>>()).is_err(),
            "21 of them"
        );
    }
}
