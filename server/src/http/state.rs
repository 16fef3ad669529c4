//! What handlers share.

use std::sync::Arc;

use actix::Addr;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::actors::registry::AgentRegistry;
use crate::config::Settings;
use crate::db::Db;
use crate::services::accounts::Accounts;
use crate::services::request_limits::RequestLimits;
use crate::services::tickets::Tickets;
use crate::ws::agent_socket::AgentGateway;

/// One for all workers.
#[derive(Clone)]
pub struct AppState {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The database.
    pub db: Db,
    /// Who is connected.
    pub registry: Addr<AgentRegistry>,
    /// Log-ins.
    pub accounts: Arc<Accounts>,
    /// Users' budgets of requests.
    pub requests: Arc<RequestLimits>,
    /// Tickets for streams.
    pub tickets: Arc<Tickets>,
    /// What agents' sockets need.
    pub gateway: AgentGateway,
    /// The figures for Prometheus.
    pub figures: PrometheusHandle,
}
