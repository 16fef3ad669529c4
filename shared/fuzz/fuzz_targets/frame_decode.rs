//! Any bytes as a frame: refused, or a frame that encodes to them.
#![no_main]

use bytes::Bytes;
use gururmm_shared::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(frame) = Frame::decode(Bytes::copy_from_slice(input)) else {
        return;
    };
    let encoded = frame.encode();
    assert_eq!(encoded.len(), frame.encoded_len());
    match &frame {
        // What is no text in a reason was replaced, and stays so.
        Frame::Reset { .. } if std::str::from_utf8(&input[7..]).is_err() => {
            assert_eq!(Frame::decode(encoded), Ok(frame));
        }
        _ => assert_eq!(encoded, input),
    }
});
