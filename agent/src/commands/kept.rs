//! What is kept of the output of a command outside a tunnel.

/// Stands where output was cut off.
const TRUNCATED: &str = "\n[truncated]\n";

/// The mark's length as JSON writes it: each of its line ends takes two bytes.
const TRUNCATED_WRITTEN: usize = TRUNCATED.len() + 2;

/// The head of a stream: at most `limit` bytes as JSON writes them, with a mark where more came.
///
/// A message that its receiver finds too large would be sent again and again, and control characters
/// grow up to six times on the wire: so their written length is what counts.
pub struct Kept {
    text: String,
    written: usize,
    limit: usize,
    /// Length of the text before which there is room for the mark.
    mark_at: usize,
    full: bool,
}

impl Kept {
    /// Nothing yet, and room for `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            written: 0,
            limit,
            mark_at: 0,
            full: false,
        }
    }

    /// Takes more of the stream.
    pub fn push(&mut self, text: &str) {
        if self.full {
            return;
        }
        let before = self.text.len();
        for (index, character) in text.char_indices() {
            self.written += written_length(character);
            if self.written > self.limit {
                self.full = true;
                self.text.push_str(&text[..index]);
                self.text.truncate(self.mark_at);
                self.text.push_str(TRUNCATED);
                return;
            }
            if self.written + TRUNCATED_WRITTEN <= self.limit {
                self.mark_at = before + index + character.len_utf8();
            }
        }
        self.text.push_str(text);
    }

    /// What was kept.
    pub fn into_text(self) -> String {
        self.text
    }
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

    #[test]
    fn the_head_of_a_long_output_is_kept_with_a_mark() {
        let mut kept = Kept::new(20);
        kept.push("0123456789");
        kept.push("0123456789");
        assert_eq!(kept.text.len(), 20, "exactly the limit is not too much");
        kept.push("x");
        kept.push("y");
        assert_eq!(kept.text, "01234\n[truncated]\n");
        let mut kept = Kept::new(20);
        kept.push(&"é".repeat(20));
        assert_eq!(kept.text, "éé\n[truncated]\n");
    }

    #[test]
    fn what_is_kept_is_within_the_limit_as_it_is_written() {
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
            for _ in 0..1000 {
                kept.push(sample);
            }
            let text = kept.into_text();
            let written = serde_json::to_string(&text).unwrap().len() - 2;
            assert!((980..=1000).contains(&written), "{sample:?}: {written}");
            assert!(
                text.ends_with(TRUNCATED) || text.len() == 1000,
                "{sample:?}"
            );
        }
    }
}
