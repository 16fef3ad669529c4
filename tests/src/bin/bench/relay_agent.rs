//! The agent at the end of the bare relay: echoes text, runs what it is asked to run, with or without a
//! terminal.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};
use fastwebsockets::OpCode;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::children::one_thread;
use crate::pty::Pty;
use crate::relay::AGENT;
use crate::socket::Socket;

/// Before a command whose output is wanted, in binary frames, with [`END`] after them.
pub const RUN: &str = "run:";
/// Before a number of bytes that are wanted from memory, in the same way.
pub const BYTES: &str = "bytes:";
/// Before a command that is to run under a terminal: binary frames are its input and output, until it ends
/// and with it this agent.
pub const PTY: &str = "pty:";
/// After the last binary frame.
pub const END: &str = "end";

const FRAME_BYTES: usize = 32 * 1024;

/// Serves until the relay goes.
pub fn serve(relay: SocketAddr) -> Result<()> {
    one_thread()?.block_on(async {
        let mut socket = Socket::join(relay, AGENT).await?;
        while let Some(frame) = socket.hear().await? {
            if frame.opcode != OpCode::Text {
                continue;
            }
            let text = std::str::from_utf8(&frame.payload)?;
            if let Some(command) = text.strip_prefix(PTY) {
                let pty = Pty::start(command)?;
                return socket.relay(&pty).await;
            } else if let Some(command) = text.strip_prefix(RUN) {
                run(&mut socket, command).await?;
            } else if let Some(bytes) = text.strip_prefix(BYTES) {
                send(&mut socket, tokio::io::repeat(b'x').take(bytes.parse()?)).await?;
            } else {
                socket.say(text).await?;
            }
        }
        Ok(())
    })
}

async fn run(socket: &mut Socket, command: &str) -> Result<()> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("piped")?;
    send(socket, output).await?;
    child.wait().await?;
    Ok(())
}

/// Sends everything in frames that are full but for the last.
async fn send(socket: &mut Socket, mut from: impl AsyncRead + Unpin) -> Result<()> {
    let mut buffer = vec![0; FRAME_BYTES];
    loop {
        let mut filled = 0;
        while filled < FRAME_BYTES {
            match from.read(&mut buffer[filled..]).await? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == 0 {
            return socket.say(END).await;
        }
        socket.send(&buffer[..filled]).await?;
    }
}
