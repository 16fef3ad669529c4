//! How many requests a user may make, whatever log-ins and keys they come with.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use gururmm_shared::UserId;

/// Users remembered at most before those whose budget is full again are dropped.
const REMEMBERED: usize = 10_000;
/// The window of the budget in seconds.
const WINDOW: u64 = 60;

type Limiter =
    RateLimiter<UserId, DefaultKeyedStateStore<UserId>, DefaultClock, StateInformationMiddleware>;

/// The budgets of all users.
pub struct RequestLimits {
    users: Limiter,
    per_minute: u32,
    clock: DefaultClock,
}

/// What is left of a user's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The whole budget a minute.
    pub per_minute: u32,
    /// Requests that are left.
    pub remaining: u32,
    /// Seconds until another is there, or until all are there again.
    pub reset_seconds: u64,
}

impl Standing {
    /// The policy, as draft-ietf-httpapi-ratelimit-headers writes it.
    #[must_use]
    pub fn policy(&self) -> String {
        format!("\"user\";q={};w={WINDOW}", self.per_minute)
    }

    /// The state, as the same draft writes it.
    #[must_use]
    pub fn state(&self) -> String {
        format!("\"user\";r={};t={}", self.remaining, self.reset_seconds)
    }
}

impl RequestLimits {
    /// Budgets of so many requests a minute, which may come at once.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let size = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            users: RateLimiter::keyed(Quota::per_minute(size))
                .with_middleware::<StateInformationMiddleware>(),
            per_minute: size.get(),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The budget is spent; the standing says when there is another.
    pub fn count(&self, user: UserId) -> Result<Standing, Standing> {
        if self.users.len() > REMEMBERED {
            self.users.retain_recent();
        }
        match self.users.check_key(&user) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let spent = u64::from(self.per_minute.saturating_sub(remaining));
                let reset = (spent * WINDOW).div_ceil(u64::from(self.per_minute));
                Ok(self.standing(remaining, reset))
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now()).as_secs() + 1;
                Err(self.standing(0, wait))
            }
        }
    }

    fn standing(&self, remaining: u32, reset_seconds: u64) -> Standing {
        Standing {
            per_minute: self.per_minute,
            remaining,
            reset_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_each_users_own_and_says_what_is_left() {
        let limits = RequestLimits::new(2);
        let (one, two) = (UserId::generate(), UserId::generate());
        let first = limits.count(one).unwrap();
        assert_eq!(
            (first.remaining, first.policy().as_str()),
            (1, "\"user\";q=2;w=60")
        );
        assert_eq!(limits.count(one).unwrap().remaining, 0);
        let spent = limits.count(one).unwrap_err();
        assert!((1..=31).contains(&spent.reset_seconds), "{spent:?}");
        assert_eq!(limits.count(two).unwrap().remaining, 1);
    }
}
