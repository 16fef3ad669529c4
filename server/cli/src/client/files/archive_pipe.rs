//! What lies between an archive, which is packed and unpacked by blocking code, and the bodies of requests.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

/// The size of a piece.
const PIECE_BYTES: usize = 256 * 1024;

/// Two empty blocks end an archive; one that ends before was cut off.
pub(super) const END_BYTES: usize = 1024;

/// The writer's end of the request's body.
pub(super) struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    count: Arc<AtomicU64>,
}

impl Pipe {
    pub fn new(sender: mpsc::Sender<io::Result<Bytes>>, count: Arc<AtomicU64>) -> Self {
        Self {
            sender,
            buffer: Vec::with_capacity(PIECE_BYTES),
            count,
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.count.fetch_add(piece.len() as u64, Ordering::Relaxed);
        let sent = self.sender.blocking_send(Ok(piece));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// A reader that knows whether the last bytes were those that end an archive.
pub(super) struct Tail<R> {
    reader: R,
    zeros: usize,
}

impl<R> Tail<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, zeros: 0 }
    }

    pub fn is_whole(&self) -> bool {
        self.zeros >= END_BYTES
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let bytes = &buffer[..count];
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == count {
            self.zeros + zeros
        } else {
            zeros
        };
        Ok(count)
    }
}
