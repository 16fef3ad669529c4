//! How much of what costs the one who asks nothing is written to the audit: the rest is counted, so
//! that nobody fills the disk with refusals.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::credentials::digest;

/// Keys remembered at most before those that are full again are dropped.
const REMEMBERED: usize = 10_000;

/// Of which kind something is that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What a user may not do.
    Access,
    /// A log-in with a wrong password.
    LogIn,
    /// A log-in that came too soon.
    LogInLimited,
    /// An agent that is not let in.
    Agent,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::LogIn => "login",
            Self::LogInLimited => "login_limited",
            Self::Agent => "agent",
        }
    }
}

/// A minute's worth for each one, and for all together.
struct Budget {
    each: DefaultKeyedRateLimiter<[u8; 32]>,
    all: DefaultDirectRateLimiter,
}

impl Budget {
    fn new(each: u32, all: u32) -> Self {
        let quota = |n| Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
        Self {
            each: RateLimiter::keyed(quota(each)),
            all: RateLimiter::direct(quota(all)),
        }
    }

    fn has_room(&self, who: &str) -> bool {
        if self.each.len() > REMEMBERED {
            self.each.retain_recent();
        }
        self.each.check_key(&digest(who)).is_ok() && self.all.check().is_ok()
    }
}

/// The budgets.
pub struct AuditLimits {
    access: Budget,
    log_in: Budget,
    log_in_limited: Budget,
    agent: Budget,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self {
            access: Budget::new(60, 600),
            log_in: Budget::new(60, 600),
            log_in_limited: Budget::new(1, 60),
            agent: Budget::new(5, 60),
        }
    }
}

impl AuditLimits {
    /// Whether a refusal to `who` is written down; if not, it is counted.
    pub fn may_write(&self, kind: Kind, who: &str) -> bool {
        let budget = match kind {
            Kind::Access => &self.access,
            Kind::LogIn => &self.log_in,
            Kind::LogInLimited => &self.log_in_limited,
            Kind::Agent => &self.agent,
        };
        let room = budget.has_room(who);
        if !room {
            metrics::counter!("gururmm_audit_refusals_left_out_total", "kind" => kind.name())
                .increment(1);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_is_refused_all_the_time_fills_nothing_and_hides_nobody() {
        let limits = AuditLimits::default();
        let written = |who: &str| {
            let tries = 0..1000;
            tries
                .filter(|_| limits.may_write(Kind::Access, who))
                .count()
        };
        assert!((60..=70).contains(&written("one")));
        assert!((60..=70).contains(&written("two")));
        assert!(limits.may_write(Kind::LogInLimited, "one"));
        assert!(!limits.may_write(Kind::LogInLimited, "one"));
    }
}
