//! How much of what is kept an agent may tell: counted for the agent, so that a new connection gives it no more.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use gururmm_shared::AgentId;

/// Reports (of watchdogs, updates, networks) at once, and a second.
const REPORTS: NonZeroU32 = NonZeroU32::new(60).unwrap();
const REPORTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Inventories at once, and how long until there is room for another one.
const INVENTORIES: NonZeroU32 = NonZeroU32::new(5).unwrap();
const INVENTORY_PERIOD: Duration = Duration::from_secs(10);
/// Agents remembered before those whose budgets are full again are dropped.
const REMEMBERED: usize = 20_000;

/// The budgets of all agents.
pub struct AgentBudgets {
    reports: DefaultKeyedRateLimiter<AgentId>,
    inventories: DefaultKeyedRateLimiter<AgentId>,
}

impl Default for AgentBudgets {
    fn default() -> Self {
        let reports = Quota::per_second(REPORTS_PER_SECOND).allow_burst(REPORTS);
        let inventories = Quota::with_period(INVENTORY_PERIOD)
            .unwrap_or_else(|| Quota::per_minute(INVENTORIES))
            .allow_burst(INVENTORIES);
        Self {
            reports: RateLimiter::keyed(reports),
            inventories: RateLimiter::keyed(inventories),
        }
    }
}

impl AgentBudgets {
    /// Whether an agent may tell one report more.
    pub fn may_report(&self, agent_id: AgentId) -> bool {
        take(&self.reports, agent_id)
    }

    /// Whether an agent may tell its inventory once more.
    pub fn may_tell_inventory(&self, agent_id: AgentId) -> bool {
        take(&self.inventories, agent_id)
    }
}

fn take(budget: &DefaultKeyedRateLimiter<AgentId>, agent_id: AgentId) -> bool {
    if budget.len() > REMEMBERED {
        budget.retain_recent();
    }
    budget.check_key(&agent_id).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_reconnects_has_no_more_reports_or_inventories_than_one_that_stays() {
        let budgets = AgentBudgets::default();
        let (one, other) = (AgentId::generate(), AgentId::generate());
        let reports = (0..1000).filter(|_| budgets.may_report(one)).count();
        // Two a second come back while this runs.
        assert!((60..70).contains(&reports), "{reports}");
        let inventories = (0..10).filter(|_| budgets.may_tell_inventory(one)).count();
        assert_eq!(inventories, 5);
        assert!(budgets.may_report(other) && budgets.may_tell_inventory(other));
    }
}
