//! Agents that poll over plain HTTP where a WebSocket is not to be had: who asks, and how often.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use gururmm_shared::AgentId;

use super::audit;
use crate::db::agents::{self, Agent};
use crate::db::{Db, DbError};
use crate::domain::credentials::{KEY_PREFIX, MAX_BYTES, digest};
use crate::error::AppError;

/// Requests a minute of one agent: polls, and a result for each command.
const PER_AGENT: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// Requests a minute from one address, behind which a whole site may be.
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(3000).unwrap();
/// Keys remembered at most before those that rest are dropped.
const REMEMBERED: usize = 20_000;

/// How often agents may ask.
pub struct PollRates {
    agents: DefaultKeyedRateLimiter<AgentId>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Default for PollRates {
    fn default() -> Self {
        Self {
            agents: RateLimiter::keyed(Quota::per_minute(PER_AGENT)),
            addresses: RateLimiter::keyed(Quota::per_minute(PER_ADDRESS)),
            clock: DefaultClock::default(),
        }
    }
}

impl PollRates {
    /// Counts a request from an address, before anything is looked up for it.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub fn from_address(&self, address: IpAddr) -> Result<(), AppError> {
        if self.addresses.len() > REMEMBERED {
            self.addresses.retain_recent();
        }
        self.addresses
            .check_key(&address)
            .map_err(|until| too_fast(until.wait_time_from(self.clock.now()).as_secs()))
    }

    fn of_agent(&self, id: AgentId) -> Result<(), AppError> {
        if self.agents.len() > REMEMBERED {
            self.agents.retain_recent();
        }
        self.agents
            .check_key(&id)
            .map_err(|until| too_fast(until.wait_time_from(self.clock.now()).as_secs()))
    }

    /// Finds the agent whose own key this is.
    ///
    /// # Errors
    /// 401 where it is nobody's, 429 where it asks too often.
    pub async fn authenticate(&self, db: &Db, key: &str, from: IpAddr) -> Result<Agent, AppError> {
        self.from_address(from)?;
        let agent = with_key(db, key).await?;
        self.of_agent(agent.id)?;
        if agent.key_used_at.is_none() {
            agents::mark_key_used(db, agent.id, audit::now()).await?;
        }
        Ok(agent)
    }
}

/// Finds the agent whose own key this is.
///
/// # Errors
/// 401 where it is nobody's.
pub async fn with_key(db: &Db, key: &str) -> Result<Agent, AppError> {
    let unknown = || {
        AppError::unauthorized(
            "unknown_key",
            "no agent has this key; register with POST /api/agent/register-legacy",
        )
    };
    if key.len() > MAX_BYTES || !key.starts_with(KEY_PREFIX) {
        return Err(unknown());
    }
    let found: Result<_, DbError> = agents::by_key_hash(db, &digest(key)).await;
    found?.ok_or_else(unknown)
}

fn too_fast(seconds: u64) -> AppError {
    let detail = "requests come too fast; an agent polls about once a minute";
    AppError::too_many("rate_limited", detail, Some(seconds + 1))
}
