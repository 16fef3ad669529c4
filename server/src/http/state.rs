//! What handlers share.

use std::sync::Arc;

use actix::Addr;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::actors::alerts::AlertWatcher;
use crate::actors::commands::CommandDispatcher;
use crate::actors::events::EventHub;
use crate::actors::metrics_writer::MetricsWriter;
use crate::actors::policy_push::PolicyPush;
use crate::actors::registry::AgentRegistry;
use crate::actors::updates::UpdateDesk;
use crate::config::{Settings, TrustedProxies};
use crate::db::Db;
use crate::domain::idempotency::Run;
use crate::services::accounts::Accounts;
use crate::services::audit_limits::AuditLimits;
use crate::services::commands::CommandRates;
use crate::services::polling::PollRates;
use crate::services::program_rates::ProgramRates;
use crate::services::recordings::Recordings;
use crate::services::releases::Programs;
use crate::services::request_limits::RequestLimits;
use crate::services::tickets::Tickets;
use crate::tls::authority::PublicCa;
use crate::ws::agent_socket::AgentGateway;

/// One for all workers.
#[derive(Clone)]
pub struct AppState {
    /// The settings.
    pub settings: Arc<Settings>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Arc<TrustedProxies>,
    /// The private authority that agents may pin.
    pub ca: Option<Arc<PublicCa>>,
    /// This run of the server.
    pub run: Run,
    /// The database.
    pub db: Db,
    /// Who is connected.
    pub registry: Addr<AgentRegistry>,
    /// What brings commands to agents.
    pub commands: Addr<CommandDispatcher>,
    /// How many commands users give.
    pub command_rates: Arc<CommandRates>,
    /// How often polling agents ask.
    pub poll_rates: Arc<PollRates>,
    /// Who tells agents of changed policies.
    pub policies: Addr<PolicyPush>,
    /// Who watches for alerts.
    pub alerts: Addr<AlertWatcher>,
    /// Who brings releases to agents.
    pub updates: Addr<UpdateDesk>,
    /// The programs of releases.
    pub programs: Programs,
    /// How many of them are read at once, and how often.
    pub program_rates: Arc<ProgramRates>,
    /// Who tells what happens.
    pub events: Addr<EventHub>,
    /// Who writes what agents report.
    pub writer: Addr<MetricsWriter>,
    /// When this run of the server began.
    pub started_at: chrono::DateTime<chrono::Utc>,
    /// Log-ins.
    pub accounts: Arc<Accounts>,
    /// Users' budgets of requests.
    pub requests: Arc<RequestLimits>,
    /// How many refusals are written down.
    pub audit_limits: Arc<AuditLimits>,
    /// Recordings of terminals.
    pub recordings: Recordings,
    /// Tickets for streams.
    pub tickets: Arc<Tickets>,
    /// What agents' sockets need.
    pub gateway: AgentGateway,
    /// The figures for Prometheus.
    pub figures: PrometheusHandle,
}
