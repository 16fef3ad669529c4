//! The HTTP API: thin files, one a resource: extract, authorise, call, answer.

mod agent_view;
mod agents;
mod alerts;
mod approvals;
mod audit;
mod audit_log;
pub mod audit_trail;
mod audited_routes;
#[cfg(test)]
mod audited_routes_tests;
mod auth;
mod clients;
mod commands;
mod csv;
mod etag;
mod extract;
mod fleet;
mod health;
mod history;
mod inventory;
mod jobs;
mod keys;
mod legacy;
mod listing;
mod maintenance;
mod notifications;
pub mod once;
mod page;
mod policies;
pub mod problems;
mod registration_tokens;
mod removal;
pub mod request_span;
#[cfg(test)]
mod route_table;
pub mod router;
mod schedule_view;
mod schedules;
mod scripts;
mod sessions;
mod sites;
pub mod state;
mod streams;
mod targets;
mod tunnels;
mod users;
