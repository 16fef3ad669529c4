//! The main job, end to end: real server, real agents, real databases, plain HTTP and WebSocket.
//! Every test of the server runs on both databases.

mod agent_connections;
mod agent_messages;
mod agent_process;
mod audit;
mod broken_writes;
mod clean_up;
mod enrolment;
mod first_generation;
mod fleet;
mod history;
mod hostile_agents;
mod keys;
mod lists;
mod login_limits;
mod matrix;
mod own_sessions;
mod places;
mod revocation;
mod scopes;
mod server_process;
mod smoke;
mod tokens;
mod tunnel_commands;
mod tunnel_open;
mod tunnel_stream;
mod users;
mod versions;
mod viewers;
