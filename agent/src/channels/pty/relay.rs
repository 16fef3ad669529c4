//! The bytes between a terminal and its stream, both ways at once: input gets through while output is
//! held up by a window that is used up.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use gururmm_shared::byte_stream::Reset;
use gururmm_shared::flow::PIECE_BYTES;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::way::{Attachment, Way, over};
use crate::platform::Pty;

/// The program has ended but somebody holds its terminal: so long without output is waited for more.
const QUIET: Duration = Duration::from_millis(250);

/// The most that is read then. What the program itself has written is far less.
const REST_BYTES: usize = 1024 * 1024;

/// Until a terminal is looked at again that no program has open, while the first one still runs.
const DESERTED: Duration = Duration::from_millis(100);

/// Writes to the terminal what comes from the server, until it has said its last word.
///
/// # Errors
/// [`Reset`]: the stream is cut off or the session over.
pub async fn input(pty: &Pty, way: &Way) -> Result<(), Reset> {
    while let Some(bytes) = way.bytes().recv().await? {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match pty.write(rest).await {
                Ok(count) => rest = &rest[count..],
                // No program has the terminal open: nobody misses it.
                Err(_) => break,
            }
        }
        way.consumed().await?;
    }
    Ok(())
}

/// Sends what the terminal shows until the program has ended and nothing is left of its output; goes
/// on over each new lane from where the server is. `exited` becomes true with the program's end.
///
/// # Errors
/// [`Reset`]: the stream is cut off or the session over.
pub async fn output(
    pty: &Pty,
    way: &Way,
    attachments: &mut watch::Receiver<Attachment>,
    exited: watch::Receiver<bool>,
) -> Result<(), Reset> {
    let mut output = Output {
        pty,
        way,
        exited,
        rest: REST_BYTES,
        buffer: vec![0; PIECE_BYTES],
    };
    loop {
        let bytes = tokio::select! {
            biased;
            changed = attachments.changed() => {
                changed.map_err(|_| over())?;
                let attachment = attachments.borrow_and_update().clone();
                way.resume(attachment).await?;
                continue;
            }
            read = output.read() => read?,
        };
        match bytes {
            Some(bytes) => way.send(bytes).await?,
            None => return Ok(()),
        }
    }
}

struct Output<'a> {
    pty: &'a Pty,
    way: &'a Way,
    exited: watch::Receiver<bool>,
    rest: usize,
    buffer: Vec<u8>,
}

impl Output<'_> {
    /// Waits for the next bytes and for room to send them; none at the end. Cancel safe.
    async fn read(&mut self) -> Result<Option<Bytes>, Reset> {
        loop {
            if self.rest == 0 || !self.until_readable().await {
                return Ok(None);
            }
            let room = self.way.bytes().room().await?.min(PIECE_BYTES);
            match self.pty.read(&mut self.buffer[..room]) {
                Ok(0) => {}
                Ok(count) => {
                    if *self.exited.borrow() {
                        self.rest = self.rest.saturating_sub(count);
                    }
                    return Ok(Some(Bytes::copy_from_slice(&self.buffer[..count])));
                }
                Err(_) if *self.exited.borrow() => return Ok(None),
                // No program has the terminal open: the end, or one that will open it again.
                Err(_) => self.until_exit(DESERTED).await,
            }
        }
    }

    /// Waits for output; false where the program has ended and none comes.
    async fn until_readable(&mut self) -> bool {
        if !*self.exited.borrow_and_update() {
            let readable = tokio::select! {
                biased;
                readable = self.pty.readable() => Some(readable),
                _ = self.exited.changed() => None,
            };
            match readable {
                Some(readable) => return readable.is_ok(),
                None => *self.exited.borrow_and_update(),
            };
        }
        let readable: Result<io::Result<()>, _> = timeout(QUIET, self.pty.readable()).await;
        matches!(readable, Ok(Ok(())))
    }

    async fn until_exit(&mut self, patience: Duration) {
        tokio::select! {
            _ = self.exited.wait_for(|exited| *exited) => {}
            () = sleep(patience) => {}
        }
    }
}

/// Waits for a time; for ever, where there is none.
pub async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => match std::future::pending::<Infallible>().await {},
    }
}
