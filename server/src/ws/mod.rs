//! Sockets: bytes to messages and back. The only room that knows actix-web-actors.
//!
//! A WebSocket actor *is* the response's body: actix-http polls it only while its write buffer has
//! room. A peer that takes nothing therefore freezes its whole actor, timers included; the
//! registry (agents) and the session (viewers) notice that from outside.

mod agent_auth;
mod agent_messages;
mod agent_routes;
pub mod agent_socket;
pub mod events_socket;
mod frame_guard;
mod joined_text;
pub mod tcp_socket;
pub mod viewer_socket;
