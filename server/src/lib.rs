//! GuruRMM's server: agents, tunnels, audit.
//!
//! Rooms from top to bottom, imports only go down: `cli`, `app` (with `listener` and `staff`), `http`, `ws`, `actors`, `services`,
//! then `db` and `domain`, which are crates of their own; `config`, `telemetry`, `tls` (certificates of the
//! port) and `error` stand beside them.

pub mod actors;
pub mod app;
pub mod cli;
pub mod config;
mod data_lock;
pub mod error;
pub mod http;
mod listener;
mod log_file;
pub mod open_files;
mod service_manager;
pub mod services;
mod staff;
pub mod telemetry;
pub mod tls;
pub mod ws;

pub use {gururmm_db as db, gururmm_domain as domain};
