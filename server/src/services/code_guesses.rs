//! Site codes that were guessed wrong, by address: there are only some 36 million of them.
//!
//! Only wrong ones count, so that a site with many machines behind one address enrols freely; an
//! address with too many has to wait before any code of its is looked at again.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use std::collections::HashMap;

const WRONG_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).unwrap();
const WAIT: Duration = Duration::from_secs(60);
/// Addresses remembered at most.
const REMEMBERED: usize = 10_000;

/// Wrong codes by address.
pub struct CodeGuesses {
    wrong: DefaultKeyedRateLimiter<IpAddr>,
    waiting: Mutex<HashMap<IpAddr, Instant>>,
}

impl Default for CodeGuesses {
    fn default() -> Self {
        Self {
            wrong: RateLimiter::keyed(Quota::per_minute(WRONG_PER_MINUTE)),
            waiting: Mutex::default(),
        }
    }
}

impl CodeGuesses {
    /// Whether a code from this address may be looked at.
    pub fn may_try(&self, address: IpAddr, now: Instant) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.get(&address) {
            Some(until) if *until > now => false,
            Some(_) => {
                waiting.remove(&address);
                true
            }
            None => true,
        }
    }

    /// Notes a wrong code.
    pub fn note_wrong(&self, address: IpAddr, now: Instant) {
        if self.wrong.len() > REMEMBERED {
            self.wrong.retain_recent();
        }
        if self.wrong.check_key(&address).is_ok() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= REMEMBERED {
            waiting.retain(|_, until| *until > now);
        }
        if waiting.len() < REMEMBERED {
            waiting.insert(address, now + WAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_too_many_wrong_codes_waits_and_others_do_not() {
        let guesses = CodeGuesses::default();
        let now = Instant::now();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..WRONG_PER_MINUTE.get() {
            guesses.note_wrong(one, now);
            assert!(guesses.may_try(one, now));
        }
        guesses.note_wrong(one, now);
        assert!(!guesses.may_try(one, now));
        assert!(guesses.may_try(other, now));
        assert!(guesses.may_try(one, now + WAIT));
    }
}
