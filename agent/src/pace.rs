//! How fast something may go: so many at once, and so many a second after that. Pure: who asks brings the time.

use std::time::{Duration, Instant};

/// A pace. It is kept by who asks it.
#[derive(Debug)]
pub struct Pace {
    most: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    /// A pace at which `at_once` may go now, and then `per_second`.
    #[must_use]
    pub fn new(at_once: u32, per_second: f64, now: Instant) -> Self {
        Self {
            most: f64::from(at_once),
            per_second,
            left: f64::from(at_once),
            at: now,
        }
    }

    /// Whether one may go now; if so, it counts as gone.
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }

    /// How long until one may go.
    pub fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        Duration::from_secs_f64(((1.0 - self.left) / self.per_second).max(0.0))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.most);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_go_at_once_and_then_as_many_as_there_was_time_for() {
        let begin = Instant::now();
        let mut pace = Pace::new(3, 2.0, begin);
        let mut gone = |seconds: u64| {
            let now = begin + Duration::from_secs(seconds);
            let count = std::iter::repeat_with(|| pace.take(now))
                .take_while(|may| *may)
                .count();
            (count, pace.wait(now))
        };
        let half = Duration::from_millis(500);
        assert_eq!(gone(0), (3, half));
        assert_eq!(gone(0), (0, half));
        assert_eq!(gone(1), (2, half));
        assert_eq!(gone(3600), (3, half), "no more than at first");
    }
}
