//! Search in what a terminal showed: as text line by line, over the borders of events, whatever the
//! case of ASCII letters. What a program puts together by moving the cursor about is not found.

use serde::Serialize;

use super::plain::{Plain, PlainText};

/// Bytes of a line that are kept.
const LINE: usize = 8 * 1024;
/// Bytes that go over to the next part of a line that is longer.
const KEPT: usize = 1024;
/// Bytes that are shown on either side.
const AROUND: usize = 100;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = RecordingMatch)]
pub struct Found {
    /// Seconds since the beginning, when the last of it was shown.
    pub time: f64,
    /// The line around it.
    pub text: String,
}

/// A search that goes from event to event.
#[derive(Debug)]
pub struct Search {
    needle: Vec<u8>,
    plain: PlainText,
    line: String,
    /// Matches in the line so far: when, and where they begin.
    waiting: Vec<(f64, usize)>,
    /// What begins before this is part of a match.
    free_from: usize,
    found: Vec<Found>,
}

impl Search {
    /// A search for a text of 1 to 800 bytes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            needle: text.as_bytes().to_vec(),
            plain: PlainText::default(),
            line: String::new(),
            waiting: Vec::new(),
            free_from: 0,
            found: Vec::new(),
        }
    }

    /// Takes what was shown.
    pub fn push(&mut self, time: f64, shown: &str) {
        for c in shown.chars() {
            match self.plain.push(c) {
                Some(Plain::Char(c)) => self.char(time, c),
                Some(Plain::Back) => {
                    self.line.pop();
                }
                Some(Plain::LineEnd) => self.end_line(0),
                None => {}
            }
        }
    }

    /// Whether there are so many, or a line with more of them is still open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len() + self.waiting.len()
    }

    /// Ends it.
    #[must_use]
    pub fn finish(mut self) -> Vec<Found> {
        self.end_line(0);
        self.found
    }

    fn char(&mut self, time: f64, c: char) {
        self.line.push(c);
        if let Some(begin) = self.line.len().checked_sub(self.needle.len()) {
            let end = &self.line.as_bytes()[begin..];
            if begin >= self.free_from && end.eq_ignore_ascii_case(&self.needle) {
                self.waiting.push((time, begin));
                self.free_from = self.line.len();
            }
        }
        if self.line.len() >= LINE {
            self.end_line(KEPT);
        }
    }

    /// Shows what waits with the line around it, and begins a new one with the last of the old.
    fn end_line(&mut self, keep: usize) {
        for (time, begin) in self.waiting.drain(..) {
            let from = floor(&self.line, begin.saturating_sub(AROUND));
            let to = floor(&self.line, begin + self.needle.len() + AROUND);
            // What was taken back since is not shown.
            let text = self.line.get(from..to).unwrap_or_default().to_owned();
            self.found.push(Found { time, text });
        }
        let cut = floor(&self.line, self.line.len().saturating_sub(keep));
        self.line.drain(..cut);
        self.free_from = self.free_from.saturating_sub(cut).min(self.line.len());
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(text: &str, events: &[(f64, &str)]) -> Vec<(f64, String)> {
        let mut search = Search::new(text);
        for (time, shown) in events {
            search.push(*time, shown);
        }
        let found = search.finish().into_iter();
        found.map(|found| (found.time, found.text)).collect()
    }

    #[test]
    fn a_text_is_found_over_the_borders_of_events_and_colours() {
        let events = [
            (1.0, "$ \u{1b}[1mrm"),
            (2.0, " -R\u{1b}[0mF /tmp/x\r\nok\r\n"),
        ];
        let found = search("rm -rf", &events);
        assert_eq!(found, [(2.0, "$ rm -RF /tmp/x".to_owned())]);
        assert!(search("-rf /tmp/xok", &events).is_empty(), "over lines");
        assert!(search("[1m", &events).is_empty(), "in a sequence");
    }

    #[test]
    fn what_was_taken_back_is_found_as_it_was_typed_again() {
        assert_eq!(search("ls", &[(1.0, "lx\u{8}s -l\r\n")])[0].1, "ls -l");
    }

    #[test]
    fn each_of_several_in_a_line_counts_once_and_long_lines_stay_short() {
        assert_eq!(search("aa", &[(1.0, "aaaaa")]).len(), 2);
        let long = format!("{}needle{}", "é".repeat(9000), "x".repeat(9000));
        let found = search("needle", &[(1.0, &long)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.contains("needle") && found[0].1.len() < 300);
        for lead in LINE - 8..LINE + 8 {
            let text = format!("{}needle", "-".repeat(lead));
            assert_eq!(search("needle", &[(1.0, &text)]).len(), 1, "{lead}");
        }
    }
}
