//! What is kept of the output of a command outside a tunnel.

use super::job::Stream;

/// Stands where output was cut off.
const TRUNCATED: &str = "\n[truncated]\n";

/// The mark's length as JSON writes it: each of its line ends takes two bytes.
const TRUNCATED_WRITTEN: usize = TRUNCATED.len() + 2;

/// A stream may take all but this share of the room (one in so many), which is for the other: the one
/// line that says what went wrong is not to be lost behind the other's noise.
const SHARE: usize = 4;

/// The heads of both streams: together at most `limit` bytes as JSON writes them, each with a mark
/// where more came. What is kept once stays as it is.
///
/// A message that its receiver finds too large would be sent again and again, and control characters
/// grow up to six times on the wire: so their written length is what counts.
#[derive(Debug)]
pub struct Kept {
    heads: [Head; 2],
    /// Room for text beside the two marks.
    room: usize,
}

#[derive(Debug, Default)]
struct Head {
    text: String,
    written: usize,
    full: bool,
}

impl Kept {
    /// Nothing yet, and room for `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            heads: Default::default(),
            room: limit.saturating_sub(2 * TRUNCATED_WRITTEN),
        }
    }

    /// Takes more of a stream.
    pub fn push(&mut self, stream: Stream, text: &str) {
        let others = self.room / SHARE;
        let [stdout, stderr] = &mut self.heads;
        let (head, other) = match stream {
            Stream::Stdout => (stdout, stderr),
            Stream::Stderr => (stderr, stdout),
        };
        if !head.full {
            head.push(text, self.room - other.written.max(others).min(self.room));
        }
    }

    /// What was kept of a stream so far; more only comes behind it.
    #[must_use]
    pub fn text(&self, stream: Stream) -> &str {
        let [stdout, stderr] = &self.heads;
        match stream {
            Stream::Stdout => &stdout.text,
            Stream::Stderr => &stderr.text,
        }
    }

    /// What was kept: standard output and standard error.
    #[must_use]
    pub fn into_texts(self) -> (String, String) {
        let [stdout, stderr] = self.heads;
        (stdout.text, stderr.text)
    }
}

impl Head {
    fn push(&mut self, text: &str, room: usize) {
        let mut end = 0;
        for character in text.chars() {
            let written = self.written + written_length(character);
            if written > room {
                self.full = true;
                break;
            }
            self.written = written;
            end += character.len_utf8();
        }
        self.text.push_str(&text[..end]);
        if self.full {
            self.text.push_str(TRUNCATED);
        }
    }
}

/// How many bytes a text takes inside a JSON string.
pub fn written_bytes(text: &str) -> usize {
    // A byte of a longer character is written as it is.
    let bytes = text.bytes().map(|byte| {
        if byte.is_ascii() {
            written_length(char::from(byte))
        } else {
            1
        }
    });
    bytes.sum()
}

/// How many bytes a character takes inside a JSON string (RFC 8259 section 7).
fn written_length(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> usize {
        serde_json::to_string(text).unwrap().len() - 2
    }

    #[test]
    fn the_head_of_a_long_output_is_kept_with_a_mark_and_never_changes() {
        let mut kept = Kept::new(40 + 2 * TRUNCATED_WRITTEN);
        kept.push(Stream::Stdout, "0123456789012345678901234567");
        kept.push(Stream::Stdout, "89");
        assert_eq!(kept.text(Stream::Stdout).len(), 30, "just the room");
        kept.push(Stream::Stdout, "x");
        kept.push(Stream::Stdout, "y");
        let cut = "012345678901234567890123456789\n[truncated]\n";
        assert_eq!(kept.text(Stream::Stdout), cut);
        kept.push(Stream::Stderr, "what went wrong");
        let (stdout, stderr) = kept.into_texts();
        assert_eq!(stdout, cut);
        assert_eq!(stderr, "what went \n[truncated]\n");
    }

    #[test]
    fn both_streams_together_are_within_the_limit_as_they_are_written() {
        for sample in [
            "a",
            "é",
            "漢",
            "\n",
            "\"",
            "\\",
            "\0",
            "\u{1b}",
            "\u{7f}",
            "a\n\u{1}é",
        ] {
            let mut kept = Kept::new(1000);
            for round in 0..2000 {
                let stream = if round % 3 == 0 {
                    Stream::Stderr
                } else {
                    Stream::Stdout
                };
                kept.push(stream, sample);
            }
            let (stdout, stderr) = kept.into_texts();
            let both = written(&stdout) + written(&stderr);
            assert_eq!(both, written_bytes(&stdout) + written_bytes(&stderr));
            assert!((970..=1000).contains(&both), "{sample:?}: {both}");
            assert!(stdout.ends_with(TRUNCATED) && stderr.ends_with(TRUNCATED));
        }
    }
}
