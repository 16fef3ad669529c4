//! The GuruRMM agent: dials out to its server, reports on its machine, and runs what a technician
//! asks for, inside a tunnel or outside of one.
//!
//! ```text
//!   connection ──server's messages──▶ machine  ──▶ channels ──┐
//!       ▲   │ ├──frames, by Streams───────────────▲           ├──▶ commands::executor ──▶ platform
//!       │   │ ├─────────────────────▶ commands::dispatcher ───┘
//!       │   │ └─────────────────────▶ update::updater
//!       └──── Outbox: control first, then the tunnel's lanes: interactive, bulk
//! ```

pub mod agent;
pub mod backlog;
pub mod channels;
pub mod commands;
pub mod config;
pub mod connection;
pub mod consent;
pub mod device;
pub mod doctor;
pub mod heartbeat_file;
pub mod identity;
pub mod inventory;
pub mod kept_policy;
pub mod link;
pub mod log_file;
pub mod machine;
pub mod metrics;
pub mod network;
pub mod pace;
pub mod platform;
pub mod pulse;
pub mod recorder;
pub mod removal;
pub mod reports;
pub mod settings;
pub mod setup;
pub mod state;
pub mod status;
pub mod telemetry;
pub mod update;
pub mod watchdog;
