//! The operating system behind one façade: the terminal, signals, permissions.

#[cfg(unix)]
mod unix;

use std::io::Read;

use bytes::Bytes;
use tokio::sync::mpsc;

#[cfg(unix)]
pub(crate) use self::unix::{
    RawTerminal, Signals, permissions, private, read_password, window_size,
};

/// Bytes read at once of what is typed or piped.
const READ_BYTES: usize = 16 * 1024;

/// What is typed, piece by piece; a closed channel is its end.
///
/// A thread of its own reads: it cannot be interrupted, and ends with the process.
pub(crate) fn typed() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = match input.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
            };
            let piece = Bytes::copy_from_slice(&buffer[..count]);
            if count == 0 || sender.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    receiver
}
