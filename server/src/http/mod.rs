//! The HTTP API: thin files, one a resource: extract, authorise, call, answer.

mod agent_view;
mod agents;
mod audit;
mod auth;
mod clients;
mod etag;
mod extract;
mod fleet;
mod health;
mod history;
mod keys;
mod listing;
mod page;
pub mod problems;
mod removal;
pub mod request_span;
#[cfg(test)]
mod route_table;
pub mod router;
mod sessions;
mod sites;
pub mod state;
mod streams;
mod tunnels;
mod users;
