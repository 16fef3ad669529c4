//! How often a log-in may be tried, for each account and each address.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Attempts are counted before the password is looked at, so that a guess costs one whether it is
/// right or not; an account that does not exist is counted like one that does.
pub struct LoginLimits {
    accounts: DefaultKeyedRateLimiter<[u8; 32]>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

/// Keys remembered at most before those that are full again are dropped.
const REMEMBERED: usize = 10_000;

impl LoginLimits {
    /// Limits as attempts a minute, also the burst.
    #[must_use]
    pub fn new(account_per_minute: u32, address_per_minute: u32) -> Self {
        let quota = |n| Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
        Self {
            accounts: RateLimiter::keyed(quota(account_per_minute)),
            addresses: RateLimiter::keyed(quota(address_per_minute)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// The seconds to wait.
    pub fn attempt(&self, email: &str, address: IpAddr) -> Result<(), u64> {
        self.forget_idle();
        self.addresses
            .check_key(&address)
            .map_err(|not_until| not_until.wait_time_from(self.clock.now()).as_secs() + 1)?;
        // A digest has one size whatever was typed.
        self.accounts
            .check_key(&crate::domain::credentials::digest(email))
            .map_err(|not_until| not_until.wait_time_from(self.clock.now()).as_secs() + 1)
    }

    fn forget_idle(&self) {
        if self.accounts.len() > REMEMBERED {
            self.accounts.retain_recent();
        }
        if self.addresses.len() > REMEMBERED {
            self.addresses.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_limited_whatever_the_address_and_others_are_not() {
        let limits = LoginLimits::new(2, 100);
        let address = |n| IpAddr::from([127, 0, 0, n]);
        assert!(limits.attempt("a@b.c", address(1)).is_ok());
        assert!(limits.attempt("a@b.c", address(2)).is_ok());
        assert!(
            limits
                .attempt("a@b.c", address(3))
                .is_err_and(|wait| (1..=60).contains(&wait))
        );
        assert!(limits.attempt("d@b.c", address(3)).is_ok());
    }

    #[test]
    fn an_address_is_limited_whatever_the_account() {
        let limits = LoginLimits::new(100, 2);
        let address = IpAddr::from([127, 0, 0, 1]);
        assert!(limits.attempt("a@b.c", address).is_ok());
        assert!(limits.attempt("b@b.c", address).is_ok());
        assert!(limits.attempt("c@b.c", address).is_err());
    }
}
