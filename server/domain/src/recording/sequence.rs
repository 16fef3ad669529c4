//! Whether a piece of terminal output ends inside of an escape sequence: a screen shown from there on
//! would print the rest of it.

/// Bytes at the end of a piece that are looked at.
const TAIL: usize = 512;

/// Whether the rest of a sequence is still to come (ECMA-48).
pub(super) fn is_open_at_end(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
    let Some(at) = tail.iter().rposition(|byte| *byte == 0x1b) else {
        return false;
    };
    match &tail[at + 1..] {
        [] => true,
        [b'[', rest @ ..] => !rest.iter().any(|byte| (0x40..=0x7e).contains(byte)),
        // A string ends with BEL; one that ends with ESC \ has a later ESC.
        [b']' | b'P' | b'X' | b'^' | b'_', rest @ ..] => !rest.contains(&0x07),
        [0x20..=0x2f, rest @ ..] => !rest.iter().any(|byte| (0x30..=0x7e).contains(byte)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_open_at_end;

    #[test]
    fn a_piece_that_ends_inside_of_a_sequence_is_known() {
        for open in [
            &b"text\x1b"[..],
            b"\x1b[",
            b"\x1b[38;5;1",
            b"a\x1b]0;tit",
            b"\x1b(",
            b"\x1bPq#0",
        ] {
            assert!(is_open_at_end(open), "{open:?}");
        }
        for whole in [
            &b""[..],
            b"text",
            b"\x1b[31mred",
            b"\x1b[31m",
            b"\x1b]0;title\x07",
            b"\x1b]0;title\x1b\\",
            b"\x1b(B",
            b"\x1bM",
            b"\x1b7",
        ] {
            assert!(!is_open_at_end(whole), "{whole:?}");
        }
    }
}
