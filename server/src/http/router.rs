//! Which path is answered by whom.

use actix_cors::Cors;
use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;

use super::dashboard::{self, Dashboard};
use super::docs::Docs;
use super::state::AppState;
use super::{
    agent_updates, agents, alerts, approvals, archives, audit, audit_log, auth, clients, commands,
    docs, events, file_downloads, file_uploads, files, fleet, health, history, install_scripts,
    inventory, inventory_search, jobs, keys, lanes, legacy, maintenance, notifications, policies,
    private_ca, problems, processes, programs, recording_contents, recordings, registration_tokens,
    registry, releases, rollouts, schedules, scripts, service_watch, services, session_list, sites,
    streams, system, tcp, terminals, tunnels, users,
};
use crate::config::Settings;

/// Registers every path with what the handlers share.
pub fn routes(config: &mut ServiceConfig, state: &AppState, docs: &Docs, dashboard: &Dashboard) {
    let limit = state.settings.limits.json_body_bytes as usize;
    config
        .app_data(web::Data::new(state.clone()))
        .app_data(web::Data::new(docs.clone()))
        .app_data(web::Data::new(dashboard.clone()))
        .app_data(web::QueryConfig::default().error_handler(problems::bad_query))
        .app_data(web::PathConfig::default().error_handler(problems::bad_path))
        .app_data(web::PayloadConfig::new(limit))
        .configure(services)
        .default_service(web::to(dashboard::page));
}

/// Registers every path. A path that is no `service` with a description does not get in; of two that
/// fit, the first answers: /api/agents/duplicates is no agent's id.
pub fn services(config: &mut ServiceConfig) {
    config
        .service(health::alive)
        .service(health::ready)
        .service(health::figures)
        .service(docs::openapi)
        .service(docs::page)
        .service(system::show)
        .service(private_ca::certificate)
        .service(events::subscribe)
        .service(streams::agent)
        .configure(people)
        .configure(fleet)
        .configure(alerting)
        .configure(tunnels_and_commands)
        .configure(through_tunnels)
        .configure(automation)
        .configure(updating)
        .configure(polling_agents);
}

/// Who may do what.
fn people(config: &mut ServiceConfig) {
    config
        .service(auth::login)
        .service(auth::register)
        .service(auth::set_up)
        .service(auth::me)
        .service(auth::log_out)
        .service(auth::change_password)
        .service(users::list)
        .service(users::create)
        .service(users::show)
        .service(users::change)
        .service(users::remove)
        .service(keys::list)
        .service(keys::create)
        .service(keys::remove);
}

/// Places, machines, and how they are kept.
fn fleet(config: &mut ServiceConfig) {
    config
        .service(clients::list)
        .service(clients::create)
        .service(clients::show)
        .service(clients::change)
        .service(clients::remove)
        .service(sites::of_client)
        .service(sites::list)
        .service(sites::create)
        .service(sites::show)
        .service(sites::change)
        .service(sites::remove)
        .service(sites::regenerate_key)
        .service(agents::list)
        .service(agents::register)
        .service(fleet::stats)
        .service(fleet::summary)
        .service(agents::unassigned)
        .service(approvals::list)
        .service(approvals::duplicates)
        .service(approvals::approve)
        .service(approvals::reject)
        .service(history::of_agent)
        .service(agents::show)
        .service(agents::remove)
        .service(agents::latest)
        .service(agents::relocate)
        .service(registration_tokens::list)
        .service(registration_tokens::create)
        .service(registration_tokens::remove)
        .service(policies::list)
        .service(policies::create)
        .service(policies::show)
        .service(policies::change)
        .service(policies::remove)
        .service(policies::of_agent)
        .service(inventory::of_agent)
        .service(inventory::changes)
        .service(inventory::software)
        .service(inventory_search::search);
}

/// What is told to people.
fn alerting(config: &mut ServiceConfig) {
    config
        .service(alerts::list)
        .service(alerts::acknowledge)
        .service(alerts::resolve)
        .service(alerts::snooze)
        .service(maintenance::list)
        .service(maintenance::create)
        .service(maintenance::remove)
        .service(notifications::list)
        .service(notifications::create)
        .service(notifications::show)
        .service(notifications::change)
        .service(notifications::remove)
        .service(notifications::test)
        .service(notifications::log);
}

/// What is done on machines, and what is written down about it.
fn tunnels_and_commands(config: &mut ServiceConfig) {
    config
        .service(audit::list)
        .service(audit_log::list_acts)
        .service(audit_log::export)
        .service(session_list::list)
        .service(tunnels::list)
        .service(tunnels::open)
        .service(tunnels::close)
        .service(tunnels::status)
        .service(tunnels::command)
        .service(terminals::open)
        .service(streams::issue_ticket)
        .service(streams::viewer)
        .service(audit::of_session)
        .service(recordings::list)
        .service(recordings::show)
        .service(recordings::remove)
        .service(recording_contents::cast)
        .service(recording_contents::index)
        .service(recording_contents::search)
        .service(commands::give)
        .service(commands::list)
        .service(commands::show)
        .service(commands::cancel)
        .service(jobs::list)
        .service(jobs::create)
        .service(jobs::show)
        .service(jobs::cancel)
        .service(jobs::retry);
}

/// What goes through a tunnel beside commands: files, services, processes, the registry, connections.
fn through_tunnels(config: &mut ServiceConfig) {
    config
        .service(files::list)
        .service(files::remove)
        .service(files::stat)
        .service(files::mkdir)
        .service(files::rename)
        .service(file_downloads::content)
        .service(file_downloads::headers)
        .service(file_uploads::receive)
        .service(file_uploads::progress)
        .service(file_uploads::remove)
        .service(archives::read)
        .service(archives::write)
        .service(services::list)
        .service(service_watch::follow)
        .service(services::show)
        .service(services::set_start_type)
        .service(services::act)
        .service(processes::list)
        .service(processes::kill)
        .service(registry::list)
        .service(registry::write)
        .service(registry::remove)
        .service(registry::export)
        .service(tcp::connect);
}

/// What is done by itself.
fn automation(config: &mut ServiceConfig) {
    config
        .service(scripts::list)
        .service(scripts::create)
        .service(scripts::show)
        .service(scripts::change)
        .service(scripts::remove)
        .service(schedules::list)
        .service(schedules::create)
        .service(schedules::show)
        .service(schedules::change)
        .service(schedules::remove)
        .service(schedules::run_now)
        .service(schedules::runs);
}

/// Releases of the agent, and how they come to machines.
fn updating(config: &mut ServiceConfig) {
    config
        .service(releases::list)
        .service(releases::remove)
        .service(rollouts::list)
        .service(rollouts::create)
        .service(rollouts::show)
        .service(rollouts::pause)
        .service(rollouts::resume)
        .service(rollouts::stop)
        .service(rollouts::advance)
        .service(agent_updates::list)
        .service(agent_updates::ask)
        .service(install_scripts::shell)
        .service(install_scripts::powershell)
        .service(programs::for_agent)
        .service(programs::manifest)
        .service(programs::signature)
        .service(programs::program);
}

/// Agents that poll, and lanes of those that do not.
fn polling_agents(config: &mut ServiceConfig) {
    config
        .service(legacy::register)
        .service(legacy::heartbeat)
        .service(legacy::result)
        .service(lanes::receive)
        .service(lanes::send);
}

/// Which origins beside its own a browser may call from.
pub fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "if-range",
            "range",
            "x-gururmm-csrf",
        ])
        .expose_headers([
            "x-request-id",
            "retry-after",
            "etag",
            "ratelimit",
            "ratelimit-policy",
            "idempotency-replayed",
            "accept-ranges",
            "content-disposition",
            "content-range",
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
