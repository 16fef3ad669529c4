//! The connection to the server: dialled again and again with back-off, one attempt at a time,
//! authenticated, then read and written until it ends.

mod backoff;
pub mod dial;
mod handshake;
mod inbound;
mod keeper;
mod lane;
mod outbox;
mod parting;
mod peers;
pub mod proxy;
mod queues;
mod reader;
mod writer;

pub use dial::Dialer;
pub use keeper::Keeper;
pub use lane::{Inward, LaneDialer, Outward, Tied};
pub use outbox::{LaneEnds, Lanes, Outbox, Outgoing};
pub use peers::Peers;

/// The WebSocket, with or without TLS.
pub type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;
