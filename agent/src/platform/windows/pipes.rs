//! Pipes whose first end waits for nobody and whose second one is as any program expects it. (What tokio makes of
//! an anonymous one holds a thread for each read.)

use std::fs::OpenOptions;
use std::io;
use std::os::windows::io::OwnedHandle;

use futures_util::FutureExt;
use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};

use crate::device::random_hex;

/// Bytes that each pipe holds.
const PIPE_BYTES: u32 = 64 * 1024;

/// A pipe to be read from here, and its end for a program to write to.
///
/// # Errors
/// What the operating system said.
pub(super) fn from_program() -> io::Result<(NamedPipeServer, OwnedHandle)> {
    pipe(true)
}

/// A pipe to be written to from here, and its end for a program to read from.
///
/// # Errors
/// What the operating system said.
pub(super) fn to_program() -> io::Result<(NamedPipeServer, OwnedHandle)> {
    pipe(false)
}

/// Its name is not to be guessed, it has one instance, and nobody on another machine gets in: whoever comes
/// between the making and the opening of it makes the opening fail.
fn pipe(reads: bool) -> io::Result<(NamedPipeServer, OwnedHandle)> {
    let name = format!(r"\\.\pipe\gururmm-{}", random_hex::<16>());
    let server = ServerOptions::new()
        .access_inbound(reads)
        .access_outbound(!reads)
        .first_pipe_instance(true)
        .max_instances(1)
        .reject_remote_clients(true)
        .in_buffer_size(PIPE_BYTES)
        .out_buffer_size(PIPE_BYTES)
        .create(&name)?;
    let client = OpenOptions::new().write(reads).read(!reads).open(&name)?;
    // Somebody is there, so it does not wait; only now it begins to look for what comes.
    match server.connect().now_or_never() {
        Some(connected) => connected?,
        None => return Err(io::ErrorKind::NotConnected.into()),
    }
    Ok((server, client.into()))
}
