//! Live state: which agent is connected, which session is open, what waits to be written.
//!
//! Every connected agent and every session is an actor; what they say to each other stands in the
//! `*_messages.rs` files, which import nothing of the actors themselves. Sockets (the room above)
//! are reached through `Recipient`s.

pub mod alert_messages;
pub mod alerts;
pub mod audit_sealer;
pub mod command_messages;
pub mod command_reports;
pub mod commands;
pub mod connection_messages;
pub mod event_messages;
mod event_texts;
pub mod events;
#[cfg(test)]
mod events_tests;
pub mod lanes;
mod live_sessions;
pub mod metrics_messages;
pub mod metrics_writer;
pub mod notifier;
pub mod pipe;
pub mod policy_push;
mod pollers;
pub mod recording_keeper;
pub mod registry;
pub mod registry_messages;
pub mod rollups;
pub mod scheduler;
pub mod session_messages;
pub mod stream_messages;
pub mod tunnel;
mod tunnel_commands;
mod tunnel_end;
mod tunnel_open;
mod tunnel_recordings;
#[cfg(test)]
mod tunnel_recordings_tests;
mod tunnel_resume;
mod tunnel_stream_ends;
mod tunnel_streams;
#[cfg(test)]
mod tunnel_streams_tests;
#[cfg(test)]
mod tunnel_terminal_tests;
mod tunnel_terminals;
#[cfg(test)]
mod tunnel_tests;
mod tunnel_viewers;
pub mod update_messages;
pub mod updates;
