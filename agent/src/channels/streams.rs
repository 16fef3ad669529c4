//! The table of open streams: by it the reader of the connection hands a frame to whom it is for
//! without a detour.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{Frame, ResetCode, StreamId};

/// The streams of open channels; clones are the same table.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<StreamId, Arc<ByteStream>>>>);

impl Streams {
    /// Enters a stream until the answer is dropped; none where its number is taken.
    #[must_use]
    pub fn open(&self, bytes: Arc<ByteStream>) -> Option<OpenStream> {
        match self.lock().entry(bytes.id()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(Arc::clone(&bytes));
                Some(OpenStream {
                    streams: self.clone(),
                    bytes,
                })
            }
        }
    }

    /// Hands a frame to its stream; the answer is to be sent.
    #[must_use = "the frame has to be sent"]
    pub fn take(&self, frame: Frame) -> Option<Frame> {
        let id = frame.stream();
        let found = self.lock().get(&id).map(Arc::clone);
        match found {
            Some(stream) => stream.on_frame(frame),
            // Whatever else comes for a stream that has just ended is only late.
            None if matches!(frame, Frame::Data { .. }) => Some(Frame::reset(
                id,
                ResetCode::UnknownStream,
                "there is no such stream",
            )),
            None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Arc<ByteStream>>> {
        // No code under the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream in the table; dropping it takes it out.
#[derive(Debug)]
pub struct OpenStream {
    streams: Streams,
    bytes: Arc<ByteStream>,
}

impl OpenStream {
    /// The stream.
    #[must_use]
    pub fn bytes(&self) -> &Arc<ByteStream> {
        &self.bytes
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.lock().remove(&self.bytes.id());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn data(stream: u32, offset: u64) -> Frame {
        Frame::Data {
            stream: StreamId(stream),
            offset,
            bytes: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn bytes_for_a_stream_that_is_not_there_are_answered_and_other_frames_are_not() {
        let streams = Streams::default();
        let open = streams.open(Arc::new(ByteStream::new(StreamId(1), 10, 0, 0)));
        assert!(open.is_some());
        assert_eq!(streams.take(data(1, 0)), None);
        assert!(matches!(
            streams.take(data(2, 0)),
            Some(Frame::Reset {
                code: ResetCode::UnknownStream,
                ..
            })
        ));
        let eof = Frame::Eof {
            stream: StreamId(2),
            offset: 0,
        };
        assert_eq!(streams.take(eof), None);
        drop(open);
        assert!(streams.take(data(1, 1)).is_some());
    }

    #[test]
    fn a_number_is_taken_until_its_stream_is_gone_and_a_broken_stream_answers_a_reset() {
        let streams = Streams::default();
        let stream = || Arc::new(ByteStream::new(StreamId(1), 10, 0, 0));
        let open = streams.open(stream()).unwrap();
        assert!(streams.open(stream()).is_none());
        assert!(matches!(
            streams.take(data(1, 5)),
            Some(Frame::Reset {
                code: ResetCode::Gap,
                ..
            })
        ));
        drop(open);
        assert!(streams.open(stream()).is_some());
    }
}
