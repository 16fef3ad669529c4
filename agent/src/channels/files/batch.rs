//! What has come in over a stream, as much as one hop takes.

use bytes::Bytes;
use futures_util::FutureExt;
use gururmm_shared::OperationError;
use tokio::time::timeout;

use super::STALL;
use super::blocking::HOP_BYTES;
use super::failure::{gone, stalled};
use crate::channels::stream::Stream;

/// The least bytes that are waited for no longer, however small the window is.
const LEAST_BYTES: u64 = 16 * 1024;

/// Takes from a stream in batches: with half of the window the peer sends while the other half is written.
pub(super) struct Batches<'a> {
    stream: &'a Stream,
    most: usize,
}

impl<'a> Batches<'a> {
    /// Batches of a stream with this window.
    pub fn new(stream: &'a Stream, window: u64) -> Self {
        let half = usize::try_from((window / 2).max(LEAST_BYTES)).unwrap_or(HOP_BYTES);
        Self {
            stream,
            most: half.min(HOP_BYTES),
        }
    }

    /// What is there, once something is; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>, OperationError> {
        let first = match timeout(STALL, self.stream.recv()).await {
            Ok(received) => received.map_err(gone)?,
            Err(_) => return Err(stalled()),
        };
        let Some(first) = first else {
            return Ok(None);
        };
        let mut length = first.len();
        let mut batch = vec![first];
        while length < self.most {
            // The end, and what cuts the stream off, are told again by the next wait.
            let Some(Ok(Some(piece))) = self.stream.recv().now_or_never() else {
                break;
            };
            length += piece.len();
            batch.push(piece);
        }
        Ok(Some(batch))
    }

    /// All that was taken is where it belongs: the peer may send more.
    pub async fn used(&mut self) -> Result<(), OperationError> {
        self.stream.consumed().await.map_err(gone)
    }
}
