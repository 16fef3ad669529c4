//! The main job, end to end: real server, real agents, real databases, plain HTTP and WebSocket.
//! Every test of the server runs on both databases.

mod agent_connections;
mod agent_messages;
mod agent_process;
mod alerts;
mod audit;
mod broken_writes;
mod clean_up;
mod enrolment;
mod first_generation;
mod hostile_agents;
mod inventory;
mod login_limits;
mod notifications;
mod own_sessions;
mod places;
mod policies;
mod registration;
mod revocation;
mod server_process;
mod smoke;
mod tokens;
mod tunnel_commands;
mod tunnel_open;
mod tunnel_stream;
mod users;
mod viewers;
