//! GuruRMM's server: agents, tunnels, audit.
//!
//! Rooms from top to bottom, imports only go down: `cli`, `app`, `http`, `ws`, `actors`, `services`,
//! `db`, `domain`; `config`, `telemetry` and `error` stand beside them.

pub mod actors;
pub mod app;
pub mod cli;
pub mod config;
pub mod db;
pub mod domain;
pub mod error;
pub mod http;
pub mod open_files;
pub mod services;
pub mod telemetry;
pub mod ws;
