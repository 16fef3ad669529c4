//! asciicast v2 (<https://docs.asciinema.org/manual/asciicast/v2/>): a header, then one event a line.
//!
//! A line holds no line break of its own, so that a file cut anywhere is whole up to its last one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use gururmm_shared::{TerminalSize, Utf8Stream};
use serde_json::json;

/// Bytes of text in one event; more becomes several.
const EVENT_BYTES: usize = 32 * 1024;

/// What the first line tells.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// The size at the beginning.
    pub size: TerminalSize,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// For people.
    pub title: &'a str,
    /// `TERM`.
    pub term: &'a str,
    /// The program.
    pub shell: &'a str,
}

impl Header<'_> {
    /// The line, with its break.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let header = json!({
            "version": 2,
            "width": self.size.cols,
            "height": self.size.rows,
            "timestamp": self.began_at.timestamp(),
            "title": self.title,
            "env": {"TERM": self.term, "SHELL": self.shell},
        });
        format!("{header}\n").into_bytes()
    }
}

/// The encoder of one recording: bytes that come in pieces become lines of text.
#[derive(Debug, Default)]
pub struct Cast {
    output: Utf8Stream,
    input: Utf8Stream,
    last: Duration,
}

impl Cast {
    /// Adds what the program wrote.
    pub fn output(&mut self, at: Duration, bytes: &[u8], lines: &mut Vec<u8>) {
        let text = self.output.push(bytes);
        self.text(at, "o", &text, lines);
    }

    /// Adds what was typed.
    pub fn input(&mut self, at: Duration, bytes: &[u8], lines: &mut Vec<u8>) {
        let text = self.input.push(bytes);
        self.text(at, "i", &text, lines);
    }

    /// Adds a new size.
    pub fn resize(&mut self, at: Duration, size: TerminalSize, lines: &mut Vec<u8>) {
        let text = format!("{}x{}", size.cols, size.rows);
        self.line(at, "r", &text, lines);
    }

    /// Adds a mark.
    pub fn marker(&mut self, at: Duration, label: &str, lines: &mut Vec<u8>) {
        self.line(at, "m", label, lines);
    }

    /// Adds what waited for the rest of a character.
    pub fn finish(&mut self, lines: &mut Vec<u8>) {
        let (output, input) = (self.output.finish(), self.input.finish());
        self.text(self.last, "o", &output, lines);
        self.text(self.last, "i", &input, lines);
    }

    /// The time of the last event.
    #[must_use]
    pub fn last(&self) -> Duration {
        self.last
    }

    fn text(&mut self, at: Duration, kind: &str, text: &str, lines: &mut Vec<u8>) {
        let mut rest = text;
        while !rest.is_empty() {
            let mut end = rest.len().min(EVENT_BYTES);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, after) = rest.split_at(end);
            self.line(at, kind, piece, lines);
            rest = after;
        }
    }

    fn line(&mut self, at: Duration, kind: &str, text: &str, lines: &mut Vec<u8>) {
        // Players want times that never go back.
        self.last = self.last.max(at);
        let (seconds, micros) = (self.last.as_secs(), self.last.subsec_micros());
        lines.extend_from_slice(format!("[{seconds}.{micros:06}, \"{kind}\", ").as_bytes());
        serde_json::to_writer(&mut *lines, text).expect("a text always becomes JSON in memory");
        lines.extend_from_slice(b"]\n");
    }
}

/// An event that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Seconds since the beginning.
    pub time: f64,
    /// `o`, `i`, `r` or `m`.
    pub kind: String,
    /// What came.
    pub data: String,
}

impl Event {
    /// Reads a line, with or without its break; nothing where it is none.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let (time, kind, data) = serde_json::from_slice(line).ok()?;
        Some(Self { time, kind, data })
    }
}

/// Whether a line is a header of this format.
#[must_use]
pub fn is_header(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(line).is_ok_and(|header| header["version"] == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn read(lines: &[u8]) -> Vec<(f64, String, String)> {
        assert!(lines.is_empty() || lines.ends_with(b"\n"));
        let lines = lines.split_inclusive(|byte| *byte == b'\n');
        lines
            .map(|line| {
                let event = Event::read(line).unwrap();
                (event.time, event.kind, event.data)
            })
            .collect()
    }

    #[test]
    fn the_header_is_one_line_of_json_whatever_the_title_holds() {
        let header = Header {
            size: TerminalSize {
                cols: 132,
                rows: 43,
            },
            began_at: DateTime::from_timestamp(1_700_000_000, 5).unwrap(),
            title: "web\n\"01\" \\ \u{1b}[2J",
            term: "xterm-256color",
            shell: "/bin/bash",
        };
        let line = header.line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(is_header(&line));
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            (&value["width"], &value["height"]),
            (&132.into(), &43.into())
        );
        assert_eq!(value["timestamp"], 1_700_000_000);
        assert_eq!(value["env"]["TERM"], "xterm-256color");
        assert_eq!(value["title"], header.title);
        assert!(!is_header(b"[0.1, \"o\", \"2\"]\n"));
    }

    #[test]
    fn any_bytes_in_any_pieces_are_read_back_as_their_text() {
        let all: Vec<u8> = (0..=255)
            .chain("aé漢🦀\u{2028}\"\\\r\n\u{1b}[0m".bytes())
            .collect();
        let text = String::from_utf8_lossy(&all).into_owned();
        for size in [1, 2, 3, 7, all.len()] {
            let (mut cast, mut lines) = (Cast::default(), Vec::new());
            for (number, piece) in all.chunks(size).enumerate() {
                let at = SECOND * u32::try_from(number).unwrap();
                cast.output(at, piece, &mut lines);
            }
            cast.finish(&mut lines);
            let events = read(&lines);
            let back: String = events.iter().map(|(_, _, data)| data.as_str()).collect();
            assert_eq!(back, text, "in pieces of {size}");
            assert!(events.iter().all(|(_, kind, _)| kind == "o"));
        }
    }

    #[test]
    fn events_of_every_kind_have_their_letters_and_times_to_the_microsecond() {
        let (mut cast, mut lines) = (Cast::default(), Vec::new());
        cast.output(Duration::from_micros(1_000_001), b"$ ", &mut lines);
        cast.input(SECOND * 2, b"ls\r", &mut lines);
        cast.resize(
            SECOND * 3,
            TerminalSize {
                cols: 100,
                rows: 30,
            },
            &mut lines,
        );
        cast.marker(SECOND * 4, "here", &mut lines);
        let text = String::from_utf8(lines).unwrap();
        let wanted = "[1.000001, \"o\", \"$ \"]\n[2.000000, \"i\", \"ls\\r\"]\n\
            [3.000000, \"r\", \"100x30\"]\n[4.000000, \"m\", \"here\"]\n";
        assert_eq!(text, wanted);
        assert_eq!(cast.last(), SECOND * 4);
    }

    #[test]
    fn a_character_of_output_is_not_mixed_with_one_that_is_typed() {
        let (mut cast, mut lines) = (Cast::default(), Vec::new());
        cast.output(SECOND, b"\xc3", &mut lines);
        cast.input(SECOND, b"\xe6\xbc", &mut lines);
        assert!(lines.is_empty(), "neither is whole");
        cast.output(SECOND, b"\xa9", &mut lines);
        cast.input(SECOND, b"\xa2", &mut lines);
        let events = read(&lines);
        assert_eq!((events[0].2.as_str(), events[1].2.as_str()), ("é", "漢"));
    }

    #[test]
    fn time_never_goes_back_and_a_large_piece_becomes_several_lines() {
        let (mut cast, mut lines) = (Cast::default(), Vec::new());
        cast.output(SECOND * 5, b"a", &mut lines);
        let large = "é".repeat(EVENT_BYTES).into_bytes();
        cast.output(SECOND, &large, &mut lines);
        let events = read(&lines);
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|(time, ..)| *time == 5.0));
        assert!(
            lines
                .split(|byte| *byte == b'\n')
                .all(|line| line.len() < EVENT_BYTES * 7)
        );
    }
}
