//! The frames of the data plane: what they look like for ever, and that nothing else passes for one.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use bytes::Bytes;
use gururmm_shared::frame::{HEADER_BYTES, MAX_DATA_BYTES, MAX_FRAME_BYTES, MAX_REASON_BYTES};
use gururmm_shared::{Frame, FrameError, ResetCode, StreamId};
use proptest::prelude::*;

fn frames() -> impl Strategy<Value = Frame> {
    let stream = any::<u32>().prop_map(StreamId);
    prop_oneof![
        (
            stream.clone(),
            any::<u32>(),
            prop::collection::vec(any::<u8>(), 1..300),
            any::<bool>()
        )
            .prop_map(|(stream, offset, bytes, far)| {
                let offset = u64::from(offset);
                let last = u64::MAX - bytes.len() as u64;
                Frame::Data {
                    stream,
                    offset: if far { last - offset } else { offset },
                    bytes: bytes.into(),
                }
            }),
        (stream.clone(), any::<u64>()).prop_map(|(stream, limit)| Frame::Window { stream, limit }),
        (stream.clone(), any::<u64>()).prop_map(|(stream, offset)| Frame::Eof { stream, offset }),
        (stream, any::<u16>(), ".{0,200}").prop_map(|(stream, code, reason)| Frame::Reset {
            stream,
            code: ResetCode::from(code),
            reason,
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(frame in frames()) {
        let bytes = frame.encode();
        prop_assert_eq!(bytes.len(), frame.encoded_len());
        prop_assert_eq!(Frame::decode(bytes), Ok(frame));
    }

    #[test]
    fn bytes_that_are_a_frame_encode_to_themselves_and_others_are_refused(
        kind in 0_u8..6,
        rest in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(any::<u8>(), 1000..1100),
        ],
    ) {
        let bytes: Bytes = [kind].into_iter().chain(rest).collect();
        if let Ok(frame) = Frame::decode(bytes.clone()) {
            let encoded = frame.encode();
            match &frame {
                // What is no text was replaced, and stays so.
                Frame::Reset { .. } if std::str::from_utf8(&bytes[7..]).is_err() => {
                    prop_assert_eq!(Frame::decode(encoded), Ok(frame));
                }
                _ => prop_assert_eq!(encoded, bytes),
            }
        }
    }
}

#[test]
fn a_frame_looks_like_this_for_ever() {
    let stream = StreamId(0x0102_0304);
    let golden: [(Frame, &[u8]); 4] = [
        (
            Frame::Data {
                stream,
                offset: 0x1122_3344_5566_7788,
                bytes: Bytes::from_static(b"ls\r"),
            },
            b"\x00\x01\x02\x03\x04\x11\x22\x33\x44\x55\x66\x77\x88ls\r",
        ),
        (
            Frame::Window {
                stream,
                limit: 262_144,
            },
            b"\x01\x01\x02\x03\x04\0\0\0\0\0\x04\0\0",
        ),
        (
            Frame::Eof { stream, offset: 3 },
            b"\x02\x01\x02\x03\x04\0\0\0\0\0\0\0\x03",
        ),
        (
            Frame::reset(stream, ResetCode::Stalled, "zu träge"),
            b"\x03\x01\x02\x03\x04\x00\x08zu tr\xc3\xa4ge",
        ),
    ];
    for (frame, bytes) in golden {
        assert_eq!(frame.encode(), bytes);
        assert_eq!(Frame::decode(Bytes::from_static(bytes)), Ok(frame));
    }
    let names = [1, 2, 3, 4, 5, 6, 7, 8, 9, u16::MAX].map(ResetCode::from);
    let wanted = [
        ResetCode::Overrun,
        ResetCode::Gap,
        ResetCode::UnknownStream,
        ResetCode::Protocol,
        ResetCode::Cancelled,
        ResetCode::Failed,
        ResetCode::Gone,
        ResetCode::Stalled,
        ResetCode::Other(9),
        ResetCode::Other(u16::MAX),
    ];
    assert_eq!(names, wanted);
}

#[test]
fn the_limits_of_a_frame_are_exact() {
    let decode = |kind: u8, len: usize| {
        let mut bytes = vec![0; len];
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        Frame::decode(bytes.into()).map(|frame| frame.encoded_len())
    };
    assert_eq!(decode(0, 0), Err(FrameError::TooShort(0)));
    assert_eq!(decode(0, HEADER_BYTES), Err(FrameError::Empty));
    assert_eq!(decode(0, HEADER_BYTES + 1), Ok(HEADER_BYTES + 1));
    assert_eq!(
        decode(0, MAX_FRAME_BYTES),
        Ok(HEADER_BYTES + MAX_DATA_BYTES)
    );
    let long = MAX_FRAME_BYTES + 1;
    assert_eq!(decode(0, long), Err(FrameError::TooLong(long)));
    for kind in [1, 2] {
        assert_eq!(decode(kind, 12), Err(FrameError::TooShort(12)));
        assert_eq!(decode(kind, 13), Ok(13));
        assert_eq!(decode(kind, 14), Err(FrameError::TooLong(14)));
    }
    assert_eq!(decode(3, 6), Err(FrameError::TooShort(6)));
    let longest = 7 + MAX_REASON_BYTES;
    assert_eq!(decode(3, longest), Ok(longest));
    assert_eq!(
        decode(3, longest + 1),
        Err(FrameError::TooLong(longest + 1))
    );
    assert_eq!(decode(4, 13), Err(FrameError::UnknownKind(4)));
}

#[test]
fn an_offset_that_leaves_no_room_for_its_bytes_is_refused() {
    let stream = StreamId(1);
    let data = |offset| Frame::Data {
        stream,
        offset,
        bytes: Bytes::from_static(b"ab"),
    };
    assert!(Frame::decode(data(u64::MAX - 2).encode()).is_ok());
    assert_eq!(
        Frame::decode(data(u64::MAX - 1).encode()),
        Err(FrameError::BadOffset(u64::MAX - 1))
    );
}

#[test]
fn a_reason_is_cut_between_characters_when_it_is_sent_and_when_it_comes() {
    let sent = Frame::reset(StreamId(1), ResetCode::Failed, "é".repeat(600)).encode();
    assert_eq!(sent.len(), 7 + MAX_REASON_BYTES);
    let odd = Frame::reset(
        StreamId(1),
        ResetCode::Failed,
        format!("a{}", "é".repeat(600)),
    );
    assert_eq!(odd.encode().len(), 7 + MAX_REASON_BYTES - 1);

    let mut bytes = vec![3, 0, 0, 0, 1, 0, 6];
    bytes.resize(7 + MAX_REASON_BYTES, 0xff);
    let Ok(Frame::Reset { reason, .. }) = Frame::decode(bytes.into()) else {
        panic!("no reset");
    };
    assert!(reason.len() <= MAX_REASON_BYTES, "{}", reason.len());
}
