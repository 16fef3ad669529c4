//! How long the agent waits before it dials again: full jitter, so that a server that restarts is
//! not met by all of its agents at once.

use std::time::Duration;

use rand::Rng;

use super::parting::Parting;
use crate::config::ServerSettings;

/// A connection that held so long ends a series of failures.
const STABLE: Duration = Duration::from_secs(60);

/// Between attempts where only the operator can help.
const HOPELESS: Duration = Duration::from_secs(60);

/// The share by which a long delay is spread to both sides.
const SPREAD: f64 = 0.2;

/// The state of the back-off.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// A back-off without failures yet.
    pub fn new(settings: &ServerSettings) -> Self {
        Self {
            base: Duration::from_secs_f64(settings.reconnect_seconds),
            max: Duration::from_secs_f64(settings.reconnect_max_seconds),
            failures: 0,
        }
    }

    /// The delay after a connection that ended as `parting` and had held for `held`.
    pub fn next(
        &mut self,
        parting: &Parting,
        held: Option<Duration>,
        random: &mut impl Rng,
    ) -> Duration {
        match parting {
            Parting::Refused(_) => return spread(HOPELESS.max(self.max), random),
            Parting::Replaced => return spread(self.max, random),
            Parting::ServerRestarts => self.failures = 0,
            Parting::Lost(_) | Parting::Stopped => {
                if held.is_some_and(|held| held > STABLE) {
                    self.failures = 0;
                }
            }
        }
        let bound = ceiling(self.base, self.max, self.failures);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(random.random_range(0.0..=1.0))
    }
}

/// The upper bound of the delay after `failures` failures in a row: doubled each time up to `max`.
fn ceiling(base: Duration, max: Duration, failures: u32) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(failures)).min(max)
}

fn spread(delay: Duration, random: &mut impl Rng) -> Duration {
    delay.mul_f64(random.random_range(1.0 - SPREAD..=1.0 + SPREAD))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn backoff() -> Backoff {
        Backoff {
            base: 10 * SECOND,
            max: 60 * SECOND,
            failures: 0,
        }
    }

    fn lost() -> Parting {
        Parting::Lost(String::new())
    }

    #[test]
    fn the_bound_doubles_up_to_its_maximum_and_never_overflows() {
        let bounds: Vec<u64> = [0, 1, 2, 3, 31, u32::MAX]
            .map(|failures| ceiling(10 * SECOND, 60 * SECOND, failures).as_secs())
            .into();
        assert_eq!(bounds, [10, 20, 40, 60, 60, 60]);
    }

    #[test]
    fn delays_fill_the_whole_range_from_nothing_to_the_bound() {
        let mut random = StdRng::seed_from_u64(7);
        let delays: Vec<Duration> = (0..1000)
            .map(|_| backoff().next(&lost(), None, &mut random))
            .collect();
        assert!(delays.iter().all(|delay| *delay <= 10 * SECOND));
        assert!(delays.iter().any(|delay| *delay < SECOND));
        assert!(delays.iter().any(|delay| *delay > 9 * SECOND));
    }

    #[test]
    fn a_restart_of_the_server_and_a_stable_connection_begin_anew() {
        let mut random = StdRng::seed_from_u64(7);
        let mut backoff = backoff();
        for _ in 0..5 {
            backoff.next(&lost(), None, &mut random);
        }
        assert_eq!(backoff.failures, 5);
        backoff.next(&lost(), Some(30 * SECOND), &mut random);
        assert_eq!(
            backoff.failures, 6,
            "a connection that did not hold is a failure"
        );
        backoff.next(&lost(), Some(61 * SECOND), &mut random);
        assert_eq!(backoff.failures, 1);
        backoff.failures = 5;
        assert!(backoff.next(&Parting::ServerRestarts, None, &mut random) <= 10 * SECOND);
    }

    #[test]
    fn a_refused_key_and_a_second_user_of_the_identity_wait_long() {
        let mut random = StdRng::seed_from_u64(7);
        for parting in [Parting::Refused(String::new()), Parting::Replaced] {
            for _ in 0..100 {
                let delay = backoff().next(&parting, None, &mut random);
                assert!((48 * SECOND..=72 * SECOND).contains(&delay), "{delay:?}");
            }
        }
    }
}
