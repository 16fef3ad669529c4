//! How often a door may be tried: wrong site codes by address, new devices by site.

use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use gururmm_shared::SiteId;

use super::code_guesses::CodeGuesses;

/// Sites remembered before those that are full again are dropped.
const REMEMBERED: usize = 10_000;

/// The limits of enrolment.
pub struct EnrollmentLimits {
    /// Codes that were guessed wrong.
    pub guesses: CodeGuesses,
    sites: DefaultKeyedRateLimiter<SiteId>,
}

impl EnrollmentLimits {
    /// So many new devices a minute for each site, also at once.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            guesses: CodeGuesses::default(),
            sites: RateLimiter::keyed(Quota::per_minute(per_minute)),
        }
    }

    /// Whether a site takes one device more: a code is known to many, and each device is a row for good.
    pub fn may_enroll(&self, site_id: SiteId) -> bool {
        if self.sites.len() > REMEMBERED {
            self.sites.retain_recent();
        }
        self.sites.check_key(&site_id).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_takes_so_many_devices_a_minute_and_others_are_not_held_up() {
        let limits = EnrollmentLimits::new(3);
        let (one, other) = (SiteId::generate(), SiteId::generate());
        assert_eq!((0..10).filter(|_| limits.may_enroll(one)).count(), 3);
        assert!(limits.may_enroll(other));
    }
}
