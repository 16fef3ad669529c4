//! How often an address that nobody knows may ask for what an installer needs.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::AppError;

/// Requests a minute from one address, behind which a whole site may be installed: three a machine.
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(300).unwrap();
/// Addresses remembered at most before those that rest are dropped.
const REMEMBERED: usize = 20_000;

/// The budgets of all addresses.
pub struct ProgramRates {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Default for ProgramRates {
    fn default() -> Self {
        Self {
            addresses: RateLimiter::keyed(Quota::per_minute(PER_ADDRESS)),
            clock: DefaultClock::default(),
        }
    }
}

impl ProgramRates {
    /// Counts a request, before anything is looked up for it.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub fn take(&self, address: IpAddr) -> Result<(), AppError> {
        if self.addresses.len() > REMEMBERED {
            self.addresses.retain_recent();
        }
        self.addresses.check_key(&address).map_err(|until| {
            let seconds = until.wait_time_from(self.clock.now()).as_secs();
            let detail = format!(
                "an address may ask {PER_ADDRESS} times a minute; go on when the minute is over"
            );
            AppError::too_many("rate_limited", detail, Some(seconds + 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_a_budget_of_its_own() {
        let rates = ProgramRates::default();
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let spent = (0..=PER_ADDRESS.get()).find_map(|_| rates.take(one).err());
        assert_eq!(spent.unwrap().code, "rate_limited");
        assert!(rates.take(two).is_ok());
    }
}
