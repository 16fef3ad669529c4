//! The HTTP API: thin files, one a resource: extract, authorise, call, answer.

mod agents;
mod alerts;
mod audit;
mod auth;
mod clients;
mod commands;
mod extract;
mod health;
mod inventory;
mod jobs;
mod legacy;
mod maintenance;
mod notifications;
mod page;
mod policies;
pub mod problems;
pub mod request_span;
pub mod router;
mod sessions;
mod sites;
pub mod state;
mod streams;
mod targets;
mod tunnels;
mod users;
