//! The HTTP API: thin files, one a resource: extract, authorise, call, answer.

mod agents;
mod alerts;
mod approvals;
mod audit;
mod auth;
mod clients;
mod extract;
mod health;
mod inventory;
mod maintenance;
mod notifications;
mod page;
mod policies;
pub mod problems;
mod registration_tokens;
pub mod request_span;
pub mod router;
mod sessions;
mod sites;
pub mod state;
mod streams;
mod targets;
mod tunnels;
mod users;
