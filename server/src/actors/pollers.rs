//! Agents that ask for their commands instead of being connected, and when each last did.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gururmm_shared::AgentId;

/// How long an agent that polls is online after it asked; it asks about once a minute.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Who polls.
#[derive(Debug, Default)]
pub(super) struct Pollers(HashMap<AgentId, Instant>);

impl Pollers {
    /// Notes that an agent asked.
    pub(super) fn note(&mut self, agent_id: AgentId, now: Instant) {
        self.0.insert(agent_id, now);
    }

    /// Forgets one that was deleted or is connected now.
    pub(super) fn forget(&mut self, agent_id: AgentId) {
        self.0.remove(&agent_id);
    }

    /// How long ago it asked; none where it does not poll.
    pub(super) fn age(&self, agent_id: AgentId, now: Instant) -> Option<Duration> {
        let seen = self.0.get(&agent_id)?;
        Some(now.saturating_duration_since(*seen))
    }

    /// Forgets those that have not asked for long, and names them.
    pub(super) fn take_silent(&mut self, now: Instant) -> Vec<AgentId> {
        let silent = |seen: &Instant| now.saturating_duration_since(*seen) >= TIMEOUT;
        self.0
            .extract_if(|_, seen| silent(seen))
            .map(|(agent_id, _)| agent_id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poller_is_there_until_it_has_been_silent_too_long() {
        let (mut pollers, start) = (Pollers::default(), Instant::now());
        let (one, two) = (AgentId::generate(), AgentId::generate());
        pollers.note(one, start);
        pollers.note(two, start + Duration::from_secs(1));
        assert_eq!(
            pollers.age(one, start + Duration::from_secs(5)),
            Some(Duration::from_secs(5))
        );
        assert_eq!(pollers.take_silent(start + TIMEOUT), [one]);
        assert_eq!(pollers.age(one, start + TIMEOUT), None);
        pollers.forget(two);
        assert!(pollers.take_silent(start + 2 * TIMEOUT).is_empty());
    }
}
