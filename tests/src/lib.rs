//! The harness: real servers, real agents, real databases, and clients that speak to them.
//!
//! Every test owns its server, its data directory and its database; what it starts dies with it.
//! Waiting is polling a condition with a deadline ([`wait::eventually`]), never a bare sleep.

pub mod agent;
pub mod api;
pub mod binaries;
pub mod cluster;
pub mod commands;
pub mod database;
pub mod deployment;
pub mod echo_agent;
pub mod files;
pub mod held_request;
pub mod held_upload;
pub mod machine;
pub mod obstacle;
pub mod prepared_agent;
pub mod process;
pub mod processes;
pub mod proxy;
pub mod raw_agent;
pub mod raw_socket;
pub mod receiver;
pub mod release;
pub mod server;
pub mod subscriber;
pub mod tcp_channel;
pub mod terminal_viewer;
pub mod token;
pub mod tool;
pub mod viewer;
pub mod wait;
pub mod windows;
pub mod world;

pub use agent::{AgentSettings, TestAgent};
pub use api::{Answer, Api};
pub use database::Database;
pub use deployment::{Deployment, Site};
pub use echo_agent::EchoAgent;
pub use files::Files;
pub use held_request::HeldRequest;
pub use held_upload::HeldUpload;
pub use machine::Machine;
pub use obstacle::Obstacle;
pub use prepared_agent::{PreparedAgent, Surroundings};
pub use proxy::{Newcomers, Proxy};
pub use raw_agent::{Heard, RawAgent};
pub use raw_socket::RawSocket;
pub use server::TestServer;
pub use subscriber::Subscriber;
pub use tcp_channel::TcpChannel;
pub use terminal_viewer::TerminalViewer;
pub use tool::Tool;
pub use viewer::Viewer;
pub use wait::{eventually, hold};
pub use world::World;
