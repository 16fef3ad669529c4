//! One output stream of a running program, decoded piece by piece.

use gururmm_shared::{Utf8Stream, flow};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The read end of a pipe until its end.
#[derive(Debug)]
pub struct Pipe<R> {
    reader: Option<R>,
    buffer: Vec<u8>,
    text: Utf8Stream,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    /// A pipe to be read from `reader`; none is a pipe that has ended.
    pub fn new(reader: Option<R>) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            text: Utf8Stream::default(),
        }
    }

    /// Whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.reader.is_none()
    }

    /// Waits for the next piece; it may be empty, at the end and inside a character.
    ///
    /// Cancel safe. Must not be called on a pipe that has ended.
    pub async fn read(&mut self) -> String {
        let Some(reader) = &mut self.reader else {
            return String::new();
        };
        self.buffer.clear();
        self.buffer.reserve(flow::PIECE_BYTES);
        match reader.read_buf(&mut self.buffer).await {
            Ok(count) if count > 0 => self.text.push(&self.buffer),
            // An error of a pipe is as good as its end: nothing can be read any more.
            Ok(_) | Err(_) => {
                self.reader = None;
                self.text.finish()
            }
        }
    }
}
