//! Joins the fragments of a text message under a limit.

use actix_http::ws::Item;
use actix_web::web::Bytes;
use actix_web_actors::ws::Message;

use super::frame_guard::Violation;

/// What a frame has completed.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// A whole text message.
    Text(String),
    /// A frame of the data plane; the guard lets none through where it is not spoken.
    Binary(Bytes),
    /// Not yet.
    Pending,
    /// Text that is no UTF-8.
    NoUtf8,
    /// Against the rules.
    Refused(Violation),
}

/// Fragments of a message at most: their sum is bounded by the frame guard, but empty ones could
/// go on for ever.
const FRAGMENTS: u32 = 4096;

/// The fragments so far; the frame guard has bounded their sum.
#[derive(Debug, Default)]
pub struct JoinedText {
    fragments: Vec<u8>,
    count: u32,
    within: bool,
}

impl JoinedText {
    /// Takes a text or continuation frame.
    pub fn push(&mut self, message: Message) -> Joined {
        match message {
            Message::Text(text) if !self.within => Joined::Text(text.into()),
            Message::Continuation(Item::FirstText(bytes)) if !self.within => {
                self.within = true;
                self.count = 1;
                self.fragments = bytes.to_vec();
                Joined::Pending
            }
            Message::Continuation(Item::Continue(bytes)) if self.within => {
                self.count += 1;
                if self.count > FRAGMENTS {
                    return Joined::Refused(Violation::TooManyFragments);
                }
                self.fragments.extend_from_slice(&bytes);
                Joined::Pending
            }
            Message::Continuation(Item::Last(bytes)) if self.within => {
                self.within = false;
                let mut whole = std::mem::take(&mut self.fragments);
                whole.extend_from_slice(&bytes);
                String::from_utf8(whole).map_or(Joined::NoUtf8, Joined::Text)
            }
            Message::Binary(bytes) if !self.within => Joined::Binary(bytes),
            // A frame of the data plane is one frame of the WebSocket's.
            Message::Continuation(Item::FirstBinary(_)) => Joined::Refused(Violation::Binary),
            _ => Joined::Refused(Violation::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(item: Item) -> Message {
        Message::Continuation(item)
    }

    #[test]
    fn fragments_make_one_text_even_where_a_character_is_cut() {
        let mut joined = JoinedText::default();
        let bytes = "é!".as_bytes();
        let first = Bytes::copy_from_slice(&bytes[..1]);
        assert_eq!(joined.push(item(Item::FirstText(first))), Joined::Pending);
        let last = Bytes::copy_from_slice(&bytes[1..]);
        assert_eq!(
            joined.push(item(Item::Last(last))),
            Joined::Text("é!".into())
        );
    }

    #[test]
    fn empty_fragments_come_to_an_end() {
        let mut joined = JoinedText::default();
        for _ in 0..2 {
            joined.push(item(Item::FirstText(Bytes::new())));
            for _ in 1..FRAGMENTS {
                let pending = joined.push(item(Item::Continue(Bytes::new())));
                assert_eq!(pending, Joined::Pending);
            }
            assert_eq!(
                joined.push(item(Item::Last(Bytes::new()))),
                Joined::Text(String::new())
            );
        }
        joined.push(item(Item::FirstText(Bytes::new())));
        let refused = Joined::Refused(Violation::TooManyFragments);
        assert!((0..FRAGMENTS).any(|_| joined.push(item(Item::Continue(Bytes::new()))) == refused));
    }

    #[test]
    fn a_text_that_is_no_utf8_and_a_stray_continuation_are_told_apart() {
        let mut joined = JoinedText::default();
        joined.push(item(Item::FirstText(Bytes::from_static(b"\xff"))));
        assert_eq!(joined.push(item(Item::Last(Bytes::new()))), Joined::NoUtf8);
        let stray = joined.push(item(Item::Continue(Bytes::new())));
        assert_eq!(stray, Joined::Refused(Violation::Malformed));
    }
}
