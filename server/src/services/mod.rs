//! Rules over the database and the domain: who is who, who may what, what is written down.

pub mod access;
pub mod accounts;
pub mod agent_budgets;
pub mod alerts;
pub mod api_keys;
pub mod audit;
pub mod audit_chain;
pub mod audit_head;
pub mod audit_limits;
pub mod audit_seal;
#[cfg(test)]
mod audit_seal_tests;
#[cfg(test)]
mod audit_testing;
pub mod audit_trail;
pub mod audit_verify;
#[cfg(test)]
mod audit_verify_tests;
pub mod clearance;
pub mod code_guesses;
pub mod commands;
pub mod copies;
pub mod deliveries;
pub mod disk;
pub mod enrollment;
pub mod enrollment_limits;
pub mod idempotency;
pub mod inventory;
pub mod jobs;
pub mod login_limits;
pub mod notifications;
pub mod passwords;
pub mod policies;
pub mod polling;
pub mod program_rates;
pub mod recordings;
pub mod recovery;
pub mod releases;
pub mod request_limits;
pub mod retention;
mod schedule_rights;
pub mod schedules;
pub mod scripts;
pub mod secret_file;
pub mod tickets;
pub mod tokens;
pub mod updates;
pub mod warrants;
