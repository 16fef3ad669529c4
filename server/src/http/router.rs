//! Which path is answered by whom.

use actix_cors::Cors;
use actix_web::web::{self, ServiceConfig, delete, get, patch, post, put};

use super::state::AppState;
use super::{
    agents, alerts, approvals, audit, audit_log, auth, clients, commands, fleet, health, history,
    inventory, jobs, keys, legacy, maintenance, notifications, policies, problems,
    registration_tokens, schedules, scripts, sites, streams, tunnels, users,
};
use crate::config::Settings;

/// Registers every path.
pub fn routes(config: &mut ServiceConfig, state: &AppState) {
    let limit = state.settings.limits.json_body_bytes as usize;
    config
        .app_data(web::Data::new(state.clone()))
        .app_data(
            web::JsonConfig::default()
                .limit(limit)
                .error_handler(problems::bad_json),
        )
        .app_data(web::QueryConfig::default().error_handler(problems::bad_query))
        .app_data(web::PathConfig::default().error_handler(problems::bad_path))
        .app_data(web::PayloadConfig::new(limit))
        .route("/healthz", get().to(health::alive))
        .route("/readyz", get().to(health::ready))
        .route("/metrics", get().to(health::figures))
        .route("/ws", get().to(streams::agent))
        // First: /api/agents/duplicates is no agent's id.
        .configure(fleet)
        .route("/api/auth/login", post().to(auth::login))
        .route("/api/auth/register", post().to(auth::register))
        .route("/api/auth/setup", post().to(auth::set_up))
        .route("/api/auth/me", get().to(auth::me))
        .route("/api/auth/logout", post().to(auth::log_out))
        .route("/api/auth/password", post().to(auth::change_password))
        .route("/api/users", get().to(users::list))
        .route("/api/users", post().to(users::create))
        .route("/api/users/{id}", get().to(users::show))
        .route("/api/users/{id}", patch().to(users::change))
        .route("/api/users/{id}", delete().to(users::remove))
        .route("/api/keys", get().to(keys::list))
        .route("/api/keys", post().to(keys::create))
        .route("/api/keys/{id}", delete().to(keys::remove))
        .route("/api/clients", get().to(clients::list))
        .route("/api/clients", post().to(clients::create))
        .route("/api/clients/{id}", get().to(clients::show))
        .route("/api/clients/{id}", put().to(clients::change))
        .route("/api/clients/{id}", delete().to(clients::remove))
        .route("/api/clients/{id}/sites", get().to(sites::of_client))
        .route("/api/sites", get().to(sites::list))
        .route("/api/sites", post().to(sites::create))
        .route("/api/sites/{id}", get().to(sites::show))
        .route("/api/sites/{id}", put().to(sites::change))
        .route("/api/sites/{id}", delete().to(sites::remove))
        .route(
            "/api/sites/{id}/regenerate-key",
            post().to(sites::regenerate_key),
        )
        .route("/api/agents", get().to(agents::list))
        .route("/api/agents", post().to(agents::register))
        .route("/api/agents/stats", get().to(fleet::stats))
        .route("/api/agents/unassigned", get().to(agents::unassigned))
        .route("/api/agents/{id}/metrics", get().to(history::of_agent))
        .route("/api/metrics/summary", get().to(fleet::summary))
        .route("/api/agents/{id}", get().to(agents::show))
        .route("/api/agents/{id}", delete().to(agents::remove))
        .route("/api/agents/{id}/state", get().to(agents::state))
        .route("/api/agents/{id}/move", post().to(agents::relocate))
        .route("/api/audit/tunnel", get().to(audit::list))
        .route("/api/audit", get().to(audit_log::list))
        .route("/api/audit/export", get().to(audit_log::export))
        .route("/api/v1/tunnel", get().to(tunnels::list))
        .route("/api/v1/tunnel/open", post().to(tunnels::open))
        .route("/api/v1/tunnel/close", post().to(tunnels::close))
        .route(
            "/api/v1/tunnel/status/{session_id}",
            get().to(tunnels::status),
        )
        .route(
            "/api/v1/tunnel/{session_id}/command",
            post().to(tunnels::command),
        )
        .route(
            "/api/v1/tunnel/{session_id}/ticket",
            post().to(streams::ticket),
        )
        .route(
            "/api/v1/tunnel/{session_id}/stream",
            get().to(streams::viewer),
        )
        .route(
            "/api/v1/tunnel/{session_id}/audit",
            get().to(audit::of_session),
        )
        .configure(commands_and_jobs)
        .configure(automation)
        .configure(polling_agents)
        .default_service(web::to(problems::unknown_path));
}

fn commands_and_jobs(config: &mut ServiceConfig) {
    config
        .route("/api/agents/{id}/command", post().to(commands::give))
        .route("/api/commands", get().to(commands::list))
        .route("/api/commands/{id}", get().to(commands::show))
        .route("/api/commands/{id}/cancel", post().to(commands::cancel))
        .route("/api/jobs", get().to(jobs::list))
        .route("/api/jobs", post().to(jobs::create))
        .route("/api/jobs/{id}", get().to(jobs::show))
        .route("/api/jobs/{id}/cancel", post().to(jobs::cancel))
        .route("/api/jobs/{id}/retry", post().to(jobs::retry));
}

fn automation(config: &mut ServiceConfig) {
    config
        .route("/api/scripts", get().to(scripts::list))
        .route("/api/scripts", post().to(scripts::create))
        .route("/api/scripts/{id}", get().to(scripts::show))
        .route("/api/scripts/{id}", put().to(scripts::change))
        .route("/api/scripts/{id}", delete().to(scripts::remove))
        .route("/api/schedules", get().to(schedules::list))
        .route("/api/schedules", post().to(schedules::create))
        .route("/api/schedules/{id}", get().to(schedules::show))
        .route("/api/schedules/{id}", put().to(schedules::change))
        .route("/api/schedules/{id}", delete().to(schedules::remove))
        .route("/api/schedules/{id}/run", post().to(schedules::run))
        .route("/api/schedules/{id}/runs", get().to(schedules::runs));
}

fn polling_agents(config: &mut ServiceConfig) {
    let result = web::resource("/api/agent/command-result")
        .app_data(
            web::JsonConfig::default()
                .limit(legacy::RESULT_BYTES)
                .error_handler(problems::bad_json),
        )
        .route(post().to(legacy::result))
        .default_service(web::to(problems::unknown_path));
    config
        .route("/api/agent/register-legacy", post().to(legacy::register))
        .route("/api/agent/heartbeat", post().to(legacy::heartbeat))
        .service(result);
}

/// How the fleet is kept.
fn fleet(config: &mut ServiceConfig) {
    config
        .route("/api/policies", get().to(policies::list))
        .route("/api/policies", post().to(policies::create))
        .route("/api/policies/{id}", get().to(policies::show))
        .route("/api/policies/{id}", put().to(policies::change))
        .route("/api/policies/{id}", delete().to(policies::remove))
        .route("/api/agents/{id}/policy", get().to(policies::of_agent))
        .route(
            "/api/registration-tokens",
            get().to(registration_tokens::list),
        )
        .route(
            "/api/registration-tokens",
            post().to(registration_tokens::create),
        )
        .route(
            "/api/registration-tokens/{id}",
            delete().to(registration_tokens::remove),
        )
        .route("/api/agents/pending", get().to(approvals::list))
        .route("/api/agents/duplicates", get().to(approvals::duplicates))
        .route("/api/agents/{id}/approve", post().to(approvals::approve))
        .route("/api/agents/{id}/reject", post().to(approvals::reject))
        .route("/api/agents/{id}/inventory", get().to(inventory::of_agent))
        .route(
            "/api/agents/{id}/inventory/changes",
            get().to(inventory::changes),
        )
        .route("/api/inventory/software", get().to(inventory::software))
        .route("/api/alerts", get().to(alerts::list))
        .route(
            "/api/alerts/{id}/acknowledge",
            post().to(alerts::acknowledge),
        )
        .route("/api/alerts/{id}/resolve", post().to(alerts::resolve))
        .route("/api/alerts/{id}/snooze", post().to(alerts::snooze))
        .route("/api/maintenance", get().to(maintenance::list))
        .route("/api/maintenance", post().to(maintenance::create))
        .route("/api/maintenance/{id}", delete().to(maintenance::remove))
        .route("/api/notifications", get().to(notifications::list))
        .route("/api/notifications", post().to(notifications::create))
        .route("/api/notifications/{id}", get().to(notifications::show))
        .route("/api/notifications/{id}", put().to(notifications::change))
        .route(
            "/api/notifications/{id}",
            delete().to(notifications::remove),
        )
        .route(
            "/api/notifications/{id}/test",
            post().to(notifications::test),
        )
        .route(
            "/api/notifications/{id}/deliveries",
            get().to(notifications::log),
        );
}

/// Which origins beside its own a browser may call from.
pub fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
        ])
        .expose_headers([
            "x-request-id",
            "retry-after",
            "etag",
            "ratelimit",
            "ratelimit-policy",
            "idempotency-replayed",
        ])
        .max_age(600);
    // Requests from elsewhere get no CORS headers, so a browser keeps their answers to itself;
    // what must be refused by origin (streams) checks it on its own.
    settings
        .http
        .allowed_origins
        .iter()
        .fold(cors.block_on_origin_mismatch(false), |cors, origin| {
            cors.allowed_origin(origin)
        })
}
