//! The fleet as figures: how many agents there are, and how loaded they are.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use gururmm_shared::{ClientId, SiteId};
use serde::Serialize;
use utoipa::ToSchema;

use super::agent_view::OnlineAgents;
use super::extract::Authenticated;
use super::state::AppState;
use crate::actors::registry_messages::Online;
use crate::db::agents::{self, AgentLoad};
use crate::domain::role::Capability;
use crate::error::AppError;

/// How many agents there are.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentStats)]
struct StatsView {
    total: usize,
    online: usize,
    offline: usize,
    unassigned: usize,
    by_os_family: BTreeMap<String, usize>,
    by_version: BTreeMap<String, usize>,
}

/// Counts agents.
#[utoipa::path(
    tag = "agents",
    responses(
        (status = 200, description = "the counts", body = StatsView),
    ),
)]
#[get("/api/agents/stats")]
pub async fn stats(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let kinds = agents::kinds(&state.db, who.scope).await?;
    let ids = kinds.iter().map(|kind| kind.id).collect();
    let online = state.registry.send(Online { agents: ids }).await?.len();
    let total = kinds.len();
    let unassigned = kinds.iter().filter(|kind| kind.site_id.is_none()).count();
    let mut by_os_family: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_version: BTreeMap<String, usize> = BTreeMap::new();
    for kind in kinds {
        *by_os_family.entry(named(kind.os_family)).or_default() += 1;
        let version = kind.agent_version.unwrap_or_default();
        *by_version.entry(named(version)).or_default() += 1;
    }
    Ok(HttpResponse::Ok().json(StatsView {
        total,
        online,
        offline: total - online.min(total),
        unassigned,
        by_os_family,
        by_version,
    }))
}

fn named(word: String) -> String {
    if word.is_empty() {
        "unknown".to_owned()
    } else {
        word
    }
}

/// The sums of some agents' latest loads.
#[derive(Debug, Default, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = LoadSum)]
struct Load {
    agents: usize,
    online: usize,
    /// How many have reported.
    reporting: usize,
    cpu_percent: Option<f64>,
    memory_used_bytes: i64,
    memory_total_bytes: i64,
    disk_used_bytes: i64,
    disk_total_bytes: i64,
    #[serde(skip)]
    cpus: usize,
}

impl Load {
    fn add(&mut self, load: &AgentLoad, online: bool) {
        self.agents += 1;
        self.online += usize::from(online);
        let reports = load.cpu_percent.is_some()
            || load.memory_used_bytes.is_some()
            || load.disk_used_bytes.is_some();
        self.reporting += usize::from(reports);
        if let Some(percent) = load.cpu_percent {
            self.cpus += 1;
            let mean = self.cpu_percent.unwrap_or(0.0);
            #[allow(clippy::cast_precision_loss, reason = "a count of agents")]
            let share = (percent - mean) / self.cpus as f64;
            self.cpu_percent = Some(mean + share);
        }
        for (sum, value) in [
            (&mut self.memory_used_bytes, load.memory_used_bytes),
            (&mut self.memory_total_bytes, load.memory_total_bytes),
            (&mut self.disk_used_bytes, load.disk_used_bytes),
            (&mut self.disk_total_bytes, load.disk_total_bytes),
        ] {
            *sum = sum.saturating_add(value.unwrap_or(0));
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LoadOfClient)]
struct OfClient {
    client_id: ClientId,
    name: Option<String>,
    #[serde(flatten)]
    load: Load,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LoadOfSite)]
struct OfSite {
    site_id: SiteId,
    client_id: Option<ClientId>,
    name: Option<String>,
    #[serde(flatten)]
    load: Load,
}

/// The loads summed up: all, by client, by site.
#[derive(Serialize, ToSchema)]
#[schema(as = LoadSummary)]
struct Summary {
    fleet: Load,
    clients: Vec<OfClient>,
    sites: Vec<OfSite>,
}

fn sum_up(loads: Vec<AgentLoad>, online: &OnlineAgents) -> Summary {
    let mut fleet = Load::default();
    let mut clients: BTreeMap<ClientId, OfClient> = BTreeMap::new();
    let mut sites: BTreeMap<SiteId, OfSite> = BTreeMap::new();
    for load in loads {
        let is_online = online.contains_key(&load.id);
        fleet.add(&load, is_online);
        if let Some(client_id) = load.client_id {
            let client = clients.entry(client_id).or_insert_with(|| OfClient {
                client_id,
                name: load.client_name.clone(),
                load: Load::default(),
            });
            client.load.add(&load, is_online);
        }
        if let Some(site_id) = load.site_id {
            let site = sites.entry(site_id).or_insert_with(|| OfSite {
                site_id,
                client_id: load.client_id,
                name: load.site_name.clone(),
                load: Load::default(),
            });
            site.load.add(&load, is_online);
        }
    }
    Summary {
        fleet,
        clients: clients.into_values().collect(),
        sites: sites.into_values().collect(),
    }
}

/// Sums up the loads: all, by client, by site.
#[utoipa::path(
    tag = "agents",
    responses(
        (status = 200, description = "the sums", body = Summary),
    ),
)]
#[get("/api/metrics/summary")]
pub async fn summary(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let loads = agents::loads(&state.db, who.scope).await?;
    let ids = loads.iter().map(|load| load.id).collect();
    let online = state.registry.send(Online { agents: ids }).await?;
    Ok(HttpResponse::Ok().json(sum_up(loads, &online)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gururmm_shared::AgentId;

    fn load(client: ClientId, site: SiteId, cpu: Option<f64>, memory: Option<i64>) -> AgentLoad {
        AgentLoad {
            id: AgentId::generate(),
            site_id: Some(site),
            site_name: Some("site".to_owned()),
            client_id: Some(client),
            client_name: Some("client".to_owned()),
            cpu_percent: cpu,
            memory_used_bytes: memory,
            memory_total_bytes: memory.map(|bytes| bytes.saturating_mul(2)),
            disk_used_bytes: None,
            disk_total_bytes: None,
        }
    }

    #[test]
    fn a_summary_counts_every_agent_and_averages_those_that_report() {
        let client = ClientId::generate();
        let (one, two) = (SiteId::generate(), SiteId::generate());
        let loads = vec![
            load(client, one, Some(10.0), Some(100)),
            load(client, one, Some(30.0), Some(i64::MAX)),
            load(client, two, None, None),
        ];
        let online = OnlineAgents::from([(loads[0].id, std::time::Duration::ZERO)]);
        let sums = sum_up(loads, &online);
        assert_eq!(
            (sums.fleet.agents, sums.fleet.online, sums.fleet.reporting),
            (3, 1, 2)
        );
        assert_eq!(sums.fleet.cpu_percent, Some(20.0));
        assert_eq!(sums.fleet.memory_used_bytes, i64::MAX, "no overflow");
        assert_eq!((sums.clients.len(), sums.sites.len()), (1, 2));
        assert!(
            sums.sites
                .iter()
                .any(|site| site.load.cpu_percent.is_none())
        );
    }
}
