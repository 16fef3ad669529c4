//! The rules that need no I/O: roles, enrolment, session and channel state machines.
//!
//! Nothing here has a clock, a socket or a database of its own; all of it is tested as functions.

pub mod agent_news;
pub mod alert_rules;
pub mod byte_replay;
pub mod channels;
pub mod close_reason;
pub mod command_state;
pub mod credentials;
pub mod delivery;
pub mod enrollment;
pub mod event_queue;
pub mod frame_budget;
pub mod idempotency;
pub mod inventory;
pub mod job_targets;
pub mod message_budget;
pub mod origins;
pub mod policy;
pub mod recording;
pub mod redaction;
pub mod replay;
pub mod role;
pub mod rollout;
pub mod schedule;
pub mod scope;
pub mod screen;
pub mod script_parameters;
pub mod session_state;
pub mod site_code;
pub mod stream_audit;
pub mod streams;
pub mod target;
pub mod terminal;
pub mod terminal_input;
pub mod terminals;
pub mod text;
pub mod viewers;

pub use gururmm_shared::command_rules;
