//! Agents as they come and go, written in batches: thousands may come back within a second. An agent
//! that is gone is skipped; times only move forward, so a late batch undoes nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Array;
use gururmm_shared::AgentId;
use serde_json::{Value, json};

use super::locks::lock;
use crate::schema::agents;
use crate::types::{self, Bind, clipped};
use crate::{Db, DbError};

/// An agent that has connected, and what it said of itself. Text that is too long for its column is
/// cut: one machine's odd name must not cost the others of its batch.
#[derive(Debug, Clone)]
pub struct AgentConnected {
    /// Which agent.
    pub id: AgentId,
    /// The machine's name.
    pub hostname: String,
    /// `linux`, `windows`.
    pub os_family: String,
    /// As `Debian GNU/Linux 12`.
    pub os_name: String,
    /// As `12`.
    pub os_version: String,
    /// As `x86_64`.
    pub os_arch: String,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// The version before its last update.
    pub previous_version: Option<String>,
    /// The protocol it speaks.
    pub protocol: u32,
    /// What it can do beyond its protocol.
    pub capabilities: Vec<String>,
    /// When it connected.
    pub at: DateTime<Utc>,
}

impl AgentConnected {
    fn clipped(self) -> Self {
        Self {
            hostname: clipped(&self.hostname, 255),
            os_family: clipped(&self.os_family, 64),
            os_name: clipped(&self.os_name, 255),
            os_version: clipped(&self.os_version, 255),
            os_arch: clipped(&self.os_arch, 64),
            agent_version: self.agent_version.map(|version| clipped(&version, 64)),
            previous_version: self.previous_version.map(|version| clipped(&version, 64)),
            capabilities: self
                .capabilities
                .iter()
                .take(256)
                .map(|c| clipped(c, 128))
                .collect(),
            ..self
        }
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "hostname": self.hostname,
            "os_family": self.os_family,
            "os_name": self.os_name,
            "os_version": self.os_version,
            "os_arch": self.os_arch,
            "agent_version": self.agent_version,
            "previous_version": self.previous_version,
            "protocol": signed(self.protocol),
            "capabilities": self.capabilities,
            "at": self.at,
        })
    }
}

/// Protocols are unsigned on the wire and signed in SQL.
pub(crate) fn signed(protocol: u32) -> i32 {
    i32::try_from(protocol).unwrap_or(i32::MAX)
}

/// Notes who connected, with what they said of themselves, and that they are online. The version before is
/// kept where they do not tell it.
pub async fn mark_connected(db: &Db, connected: Vec<AgentConnected>) -> Result<usize, DbError> {
    // The last of each agent, in the order of their ids, so that two batches cannot deadlock.
    let connected: BTreeMap<AgentId, AgentConnected> = connected
        .into_iter()
        .map(|agent| (agent.id, agent.clipped()))
        .collect();
    batch!(
        db,
        postgres | conn | {
            lock(conn, connected.keys().copied().collect()).await?;
            let rows: Value = connected.values().map(AgentConnected::json).collect();
            let changed = diesel_async::RunQueryDsl::execute(
                diesel::sql_query(
                    "UPDATE agents SET hostname = v.hostname, os_family = v.os_family, \
                     os_name = v.os_name, os_version = v.os_version, os_arch = v.os_arch, \
                     agent_version = v.agent_version, previous_version = CASE \
                     WHEN v.previous_version IS NOT NULL THEN v.previous_version \
                     WHEN agents.agent_version <> v.agent_version THEN agents.agent_version \
                     ELSE agents.previous_version END, \
                     protocol = v.protocol, capabilities = v.capabilities, status = 'online', \
                     last_seen_at = v.at, updated_at = v.at \
                     FROM jsonb_to_recordset($1) AS v(id uuid, hostname text, os_family text, \
                     os_name text, os_version text, os_arch text, agent_version text, \
                     previous_version text, protocol integer, capabilities jsonb, at timestamptz) \
                     WHERE agents.id = v.id",
                )
                .bind::<types::Jsonb, _>(rows),
                conn,
            )
            .await?;
            Ok(changed)
        },
        sqlite | conn | {
            let mut changed = 0;
            for agent in connected.values() {
                // The old version, which the first time is told by nobody else.
                if let Some(version) = &agent.agent_version {
                    let changed = agents::agent_version.ne(version);
                    diesel::update(agents::table.find(Bind(agent.id)).filter(changed))
                        .set(agents::previous_version.eq(agents::agent_version))
                        .execute(conn)?;
                }
                if let Some(version) = &agent.previous_version {
                    diesel::update(agents::table.find(Bind(agent.id)))
                        .set(agents::previous_version.eq(version))
                        .execute(conn)?;
                }
                changed += diesel::update(agents::table.find(Bind(agent.id)))
                    .set((
                        agents::hostname.eq(&agent.hostname),
                        agents::os_family.eq(&agent.os_family),
                        agents::os_name.eq(&agent.os_name),
                        agents::os_version.eq(&agent.os_version),
                        agents::os_arch.eq(&agent.os_arch),
                        agents::agent_version.eq(agent.agent_version.as_deref()),
                        agents::protocol.eq(signed(agent.protocol)),
                        agents::capabilities.eq(Bind(Value::from(agent.capabilities.clone()))),
                        agents::status.eq("online"),
                        agents::last_seen_at.eq(Bind(agent.at)),
                        agents::updated_at.eq(Bind(agent.at)),
                    ))
                    .execute(conn)?;
            }
            Ok(changed)
        },
    )
}

/// Notes when agents last said something.
pub async fn mark_seen(db: &Db, seen: Vec<(AgentId, DateTime<Utc>)>) -> Result<usize, DbError> {
    let seen = newest(seen);
    batch!(
        db,
        postgres | conn | {
            let (ids, times): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
            lock(conn, ids.clone()).await?;
            let changed = diesel_async::RunQueryDsl::execute(
                diesel::sql_query(
                    "UPDATE agents SET last_seen_at = v.at FROM unnest($1, $2) AS v(id, at) \
                     WHERE agents.id = v.id AND (last_seen_at IS NULL OR last_seen_at < v.at)",
                )
                .bind::<Array<types::Uuid>, _>(ids)
                .bind::<Array<types::Timestamptz>, _>(times),
                conn,
            )
            .await?;
            Ok(changed)
        },
        sqlite | conn | {
            let mut changed = 0;
            for (id, at) in seen {
                let earlier = agents::last_seen_at
                    .is_null()
                    .or(agents::last_seen_at.lt(Bind(at)));
                changed += diesel::update(agents::table.find(Bind(id)).filter(earlier))
                    .set(agents::last_seen_at.eq(Bind(at)))
                    .execute(conn)?;
            }
            Ok(changed)
        },
    )
}

/// Notes that agents went offline at those times, unless they have been heard of since.
pub async fn mark_offline(db: &Db, gone: Vec<(AgentId, DateTime<Utc>)>) -> Result<usize, DbError> {
    let gone = newest(gone);
    batch!(
        db,
        postgres | conn | {
            let (ids, times): (Vec<_>, Vec<_>) = gone.into_iter().unzip();
            lock(conn, ids.clone()).await?;
            let changed = diesel_async::RunQueryDsl::execute(
                diesel::sql_query(
                    "UPDATE agents SET status = 'offline', updated_at = v.at \
                     FROM unnest($1, $2) AS v(id, at) WHERE agents.id = v.id \
                     AND status = 'online' AND (last_seen_at IS NULL OR last_seen_at <= v.at)",
                )
                .bind::<Array<types::Uuid>, _>(ids)
                .bind::<Array<types::Timestamptz>, _>(times),
                conn,
            )
            .await?;
            Ok(changed)
        },
        sqlite | conn | {
            let mut changed = 0;
            for (id, at) in gone {
                let earlier = agents::last_seen_at
                    .is_null()
                    .or(agents::last_seen_at.le(Bind(at)));
                let online = agents::table
                    .find(Bind(id))
                    .filter(agents::status.eq("online"));
                changed += diesel::update(online.filter(earlier))
                    .set((
                        agents::status.eq("offline"),
                        agents::updated_at.eq(Bind(at)),
                    ))
                    .execute(conn)?;
            }
            Ok(changed)
        },
    )
}

/// Sets every agent offline, as at the server's start, and counts those that were not.
pub async fn set_all_offline(db: &Db) -> Result<usize, DbError> {
    exec!(db, |conn| diesel_async::RunQueryDsl::execute(
        diesel::update(agents::table.filter(agents::status.eq("online")))
            .set(agents::status.eq("offline")),
        conn,
    )
    .await)
}

/// The newest time of each agent, in the order of their ids.
fn newest(times: Vec<(AgentId, DateTime<Utc>)>) -> BTreeMap<AgentId, DateTime<Utc>> {
    let mut newest = BTreeMap::new();
    for (id, at) in times {
        newest
            .entry(id)
            .and_modify(|known| *known = at.max(*known))
            .or_insert(at);
    }
    newest
}
