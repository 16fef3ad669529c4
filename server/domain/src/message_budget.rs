//! How many messages a peer may send: a bucket of tokens that fills with time.

use std::time::Instant;

/// A bucket of tokens; the caller brings the time.
#[derive(Debug, Clone)]
pub struct MessageBudget {
    tokens: f64,
    burst: f64,
    per_second: f64,
    at: Instant,
}

impl MessageBudget {
    /// A full bucket of `burst` tokens that gains `per_second`.
    #[must_use]
    pub fn new(per_second: f64, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            tokens: burst,
            burst,
            per_second,
            at: now,
        }
    }

    /// Takes a token; false when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_allowed_and_then_only_the_rate() {
        let start = Instant::now();
        let mut budget = MessageBudget::new(2.0, 3, start);
        assert!((0..3).all(|_| budget.take(start)));
        assert!(!budget.take(start));
        assert!(budget.take(start + Duration::from_millis(600)));
        assert!(!budget.take(start + Duration::from_millis(600)));
        let later = start + Duration::from_secs(100);
        assert_eq!((0..10).filter(|_| budget.take(later)).count(), 3);
    }
}
