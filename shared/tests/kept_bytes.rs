//! What a stream keeps to send it again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use bytes::Bytes;
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{Frame, ResetCode, StreamId, StreamPosition};

fn at(received: u64) -> StreamPosition {
    StreamPosition {
        stream: StreamId(1),
        received,
        limit: u64::MAX,
        sent: 0,
        first: 0,
    }
}

/// A stream over which `count` bytes went one by one, the last 10,000 of them kept.
fn byte_by_byte(count: u64) -> ByteStream {
    let stream = ByteStream::new(StreamId(1), 0, u64::MAX, 10_000);
    for number in 0..count {
        let byte = u8::try_from(number % 251).unwrap();
        assert!(stream.send(Bytes::copy_from_slice(&[byte])).is_some());
    }
    stream
}

#[test]
fn bytes_that_were_sent_one_by_one_are_kept_together_and_sent_again_from_anywhere() {
    for received in [90_000, 90_001, 95_000, 99_999, 100_000] {
        let frames = byte_by_byte(100_000).resume(&at(received)).unwrap();
        assert!(frames.len() <= 4, "{} frames", frames.len());
        let mut next = received;
        for frame in frames {
            let Frame::Data { offset, bytes, .. } = frame else {
                panic!("{frame:?}")
            };
            assert_eq!(offset, next);
            for byte in bytes {
                assert_eq!(u64::from(byte), next % 251);
                next += 1;
            }
        }
        assert_eq!(next, 100_000);
    }
}

#[test]
fn what_is_kept_no_more_cannot_be_sent_again() {
    let lost = byte_by_byte(100_000).resume(&at(80_000)).unwrap_err();
    assert_eq!(lost.code, ResetCode::Gap);
}
