//! The bare relay: a WebSocket to an agent and one to a viewer, and every frame from one to the
//! other. No authentication, no audit, no JSON, no flow control but TCP's: the floor.

use anyhow::{Context, Result};
use fastwebsockets::after_handshake_split;
use fastwebsockets::{Frame, OpCode, Role, WebSocketError, WebSocketRead, WebSocketWrite};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::children::{LISTENING, one_thread};

/// The first byte of an agent.
pub const AGENT: u8 = b'a';
/// The first byte of a viewer.
pub const VIEWER: u8 = b'v';

type Reader = WebSocketRead<OwnedReadHalf>;
type Writer = WebSocketWrite<OwnedWriteHalf>;

/// Relays between one agent and one viewer until either goes.
pub fn serve() -> Result<()> {
    one_thread()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{LISTENING}{}", listener.local_addr()?);
        let (mut agent, mut viewer) = (None, None);
        while agent.is_none() || viewer.is_none() {
            let (stream, _) = listener.accept().await?;
            let (who, halves) = greet(stream).await?;
            let place = if who == AGENT {
                &mut agent
            } else {
                &mut viewer
            };
            *place = Some(halves);
        }
        let (from_agent, to_agent) = agent.context("an agent came")?;
        let (from_viewer, to_viewer) = viewer.context("a viewer came")?;
        tokio::select! {
            result = pump(from_agent, to_viewer) => result,
            result = pump(from_viewer, to_agent) => result,
        }
    })
}

async fn greet(mut stream: TcpStream) -> Result<(u8, (Reader, Writer))> {
    stream.set_nodelay(true)?;
    let who = stream.read_u8().await?;
    let (read, write) = stream.into_split();
    Ok((who, after_handshake_split(read, write, Role::Server)))
}

async fn pump(mut from: Reader, mut to: Writer) -> Result<()> {
    loop {
        let frame = from
            .read_frame(&mut |_| async { Ok::<_, WebSocketError>(()) })
            .await?;
        if frame.opcode == OpCode::Close {
            return Ok(());
        }
        let frame = Frame::new(true, frame.opcode, None, frame.payload);
        to.write_frame(frame).await?;
    }
}
