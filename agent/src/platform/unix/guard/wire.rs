//! What the agent and a guard say to each other over their socket.
//!
//! A message is its length (4 bytes, little endian) and JSON. File descriptors, where a message has
//! some, travel beside the length's bytes (`SCM_RIGHTS`, unix(7)), so a reader that takes exactly the
//! length first cannot miss them.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::platform::Order;

/// Longer messages are a fault of the sender. A program's arguments and environment are at most 2 MiB
/// (execve(2)), which JSON can make six times as long.
pub const LIMIT_BYTES: u32 = 16 * 1024 * 1024;

/// Standard output and standard error; no message has more descriptors.
pub const OUTPUTS: usize = 2;

/// What the agent wants.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Start a program; its output goes to the two descriptors that come with this.
    Start(u64, Order),
    /// Start a program on the terminal whose descriptor comes with this.
    StartOnTerminal(u64, Order),
    /// Ask the program's group to end (SIGTERM).
    Terminate(u64),
    /// End the program's group (SIGKILL).
    Kill(u64),
    /// Tell all of the session that the program leads that its terminal is gone (SIGHUP).
    HangUp(u64),
    /// End all of the session that the program leads (SIGKILL).
    KillSession(u64),
    /// Nothing more will be asked about this program.
    Forget(u64),
    /// Kill what is to be killed, say so and go.
    End,
}

/// What the guard tells.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The program runs; this is its process.
    Started(u64, i32),
    /// It could not be started: the operating system's number of the error, where it has one.
    Failed(u64, Option<i32>),
    /// The program has ended with this status (wait(2)).
    Exited(u64, i32),
    /// So many processes were killed at the end, and none is left.
    Ended(usize),
}

/// Writes a message without its descriptors: the length's bytes and the JSON.
///
/// # Errors
/// When it is too long.
pub fn encode<T: Serialize>(message: &T) -> io::Result<([u8; 4], Vec<u8>)> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length <= LIMIT_BYTES)
        .ok_or(io::ErrorKind::ArgumentListTooLong)?;
    Ok((length.to_le_bytes(), body))
}

/// Reads the length's bytes.
///
/// # Errors
/// When it is over the limit.
pub fn length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(bytes);
    if length > LIMIT_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    usize::try_from(length).map_err(io::Error::other)
}

/// Reads a message from its JSON.
///
/// # Errors
/// When it is none.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    serde_json::from_slice(body).map_err(io::Error::from)
}

/// Sends the length's bytes and, beside them, descriptors; tells how many bytes were taken.
///
/// # Errors
/// What the operating system said.
pub fn send_head(
    socket: BorrowedFd<'_>,
    head: &[u8],
    descriptors: &[OwnedFd],
) -> io::Result<usize> {
    let raw: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights };
    let data = [IoSlice::new(head)];
    sendmsg::<()>(
        socket.as_raw_fd(),
        &data,
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .map_err(io::Error::from)
}

/// Waits for a message and the descriptors that came with it; none when the sender is gone.
///
/// # Errors
/// What the operating system said, or that the sender broke off or sent what is no message.
pub fn receive<T: DeserializeOwned>(
    socket: &mut UnixStream,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut head = [0; 4];
    let Some((mut taken, descriptors)) = receive_head(socket, &mut head)? else {
        return Ok(None);
    };
    while taken < head.len() {
        let count = socket.read(&mut head[taken..])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        taken += count;
    }
    let mut body = vec![0; length(head)?];
    socket.read_exact(&mut body)?;
    Ok(Some((decode(&body)?, descriptors)))
}

fn receive_head(
    socket: &UnixStream,
    head: &mut [u8; 4],
) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    let mut space = nix::cmsg_space!([i32; OUTPUTS]);
    let mut data = [IoSliceMut::new(head)];
    let received = loop {
        match recvmsg::<()>(
            socket.as_raw_fd(),
            &mut data,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        ) {
            Err(nix::errno::Errno::EINTR) => {}
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = message {
            // SAFETY: the kernel has just given us these descriptors, and nobody else owns them.
            #[allow(unsafe_code)]
            let owned = raw
                .into_iter()
                .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
            descriptors.extend(owned);
        }
    }
    Ok(Some((received.bytes, descriptors)))
}
