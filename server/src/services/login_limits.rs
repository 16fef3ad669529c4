//! How often a log-in may be tried, for each account and each address.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::credentials::digest;

/// Attempts are counted before the password is looked at, so that a guess costs one whether it is
/// right or not; an account that does not exist is counted like one that does. An account is counted for each
/// address, so that guesses from elsewhere do not keep its owner out, and with more room for all of them.
pub struct LoginLimits {
    pairs: DefaultKeyedRateLimiter<[u8; 32]>,
    accounts: DefaultKeyedRateLimiter<[u8; 32]>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

/// How much more often an account may be tried from all addresses than from one.
const FROM_EVERYWHERE: u32 = 20;
/// Keys remembered at most before those that are full again are dropped.
const REMEMBERED: usize = 10_000;

impl LoginLimits {
    /// Limits as attempts a minute, also the burst.
    #[must_use]
    pub fn new(account_per_minute: u32, address_per_minute: u32) -> Self {
        let quota = |n| Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
        Self {
            pairs: RateLimiter::keyed(quota(account_per_minute)),
            accounts: RateLimiter::keyed(quota(account_per_minute.saturating_mul(FROM_EVERYWHERE))),
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
        let now = self.clock.now();
        self.addresses
            .check_key(&address)
            .map_err(|not_until| not_until.wait_time_from(now).as_secs() + 1)?;
        // A digest has one size whatever was typed.
        self.pairs
            .check_key(&digest(&format!("{address} {email}")))
            .map_err(|not_until| not_until.wait_time_from(now).as_secs() + 1)?;
        self.accounts
            .check_key(&digest(email))
            .map_err(|not_until| not_until.wait_time_from(now).as_secs() + 1)
    }

    fn forget_idle(&self) {
        for limits in [&self.pairs, &self.accounts] {
            if limits.len() > REMEMBERED {
                limits.retain_recent();
            }
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
    fn wrong_log_ins_from_elsewhere_do_not_keep_the_owner_out() {
        let limits = LoginLimits::new(2, 100);
        let address = |n| IpAddr::from([127, 0, 0, n]);
        assert!(limits.attempt("a@b.c", address(1)).is_ok());
        assert!(limits.attempt("a@b.c", address(1)).is_ok());
        let refused = limits.attempt("a@b.c", address(1));
        assert!(refused.is_err_and(|wait| (1..=60).contains(&wait)));
        assert!(limits.attempt("a@b.c", address(2)).is_ok());
        assert!(limits.attempt("d@b.c", address(1)).is_ok());
    }

    #[test]
    fn an_account_is_limited_over_all_addresses_too() {
        let limits = LoginLimits::new(1, 100);
        let tried = (0..=255_u8).map(|n| limits.attempt("a@b.c", IpAddr::from([127, 0, 1, n])));
        assert_eq!(
            tried.filter(Result::is_ok).count(),
            FROM_EVERYWHERE as usize
        );
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
