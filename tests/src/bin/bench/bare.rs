//! The floor of the agents' figures: a server that accepts a WebSocket, reads one message, sends
//! an `auth_ack` and keeps the connection. It looks nothing up and writes nothing.

use std::net::SocketAddr;

use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use gururmm_shared::{AuthAck, ServerMessage};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::children::{LISTENING, all_cores};

/// Serves until it is killed.
pub fn serve() -> Result<()> {
    all_cores()?.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        // A full queue would cost a second for the repeated SYN.
        let listener = socket.listen(4096)?;
        println!("{LISTENING}{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                // A client that goes is no fault of the baseline.
                let _ = keep(stream).await;
            });
        }
    })
}

async fn keep(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0);
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    if socket.next().await.transpose()?.is_some() {
        let ack = AuthAck {
            protocol: Some(gururmm_shared::PROTOCOL),
            agent_id: None,
            server_time: None,
            api_key: None,
        };
        let ack = ServerMessage::AuthAck(ack).encode();
        socket.send(Message::text(ack)).await?;
    }
    while socket.next().await.transpose()?.is_some() {}
    Ok(())
}
