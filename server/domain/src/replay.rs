//! The last output of one channel, kept for viewers that come late.

use std::collections::VecDeque;

use gururmm_shared::TerminalOutput;
use gururmm_shared::flow::PIECE_BYTES;

/// A piece of output at its offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of the channel before it.
    pub offset: u64,
    /// Text for standard output.
    pub stdout: String,
    /// Text for standard error.
    pub stderr: String,
}

impl Piece {
    /// The first byte after it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + (self.stdout.len() + self.stderr.len()) as u64
    }

    /// What is left of it from `offset` on, cut where a character begins.
    #[must_use]
    pub fn since(&self, offset: u64) -> Self {
        let skip = usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let from_stdout = floor_boundary(&self.stdout, skip);
        let from_stderr = floor_boundary(&self.stderr, skip.saturating_sub(self.stdout.len()));
        Self {
            offset: self.offset + (from_stdout + from_stderr) as u64,
            stdout: self.stdout[from_stdout..].to_owned(),
            stderr: self.stderr[from_stderr..].to_owned(),
        }
    }

    /// The piece as viewers get it.
    #[must_use]
    pub fn to_output(&self) -> TerminalOutput {
        TerminalOutput {
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
            offset: Some(self.offset),
            ..TerminalOutput::default()
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Output from `first` to `next`, in order and without holes.
#[derive(Debug, Default)]
pub struct Replay {
    pieces: VecDeque<Piece>,
    first: u64,
    next: u64,
}

impl Replay {
    /// The first byte that is kept.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The byte after the last one.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Bytes kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.next - self.first
    }

    /// Appends output, to the last piece as long as that is small: a piece has a cost of its own,
    /// and output may come byte by byte.
    pub fn push(&mut self, stdout: String, stderr: String) {
        let bytes = stdout.len() + stderr.len();
        if bytes == 0 {
            return;
        }
        let offset = self.next;
        self.next += bytes as u64;
        if let Some(last) = self.pieces.back_mut()
            && last.stdout.len() + last.stderr.len() + bytes <= PIECE_BYTES
            && (stdout.is_empty() || last.stderr.is_empty())
        {
            last.stdout.push_str(&stdout);
            last.stderr.push_str(&stderr);
            return;
        }
        self.pieces.push_back(Piece {
            offset,
            stdout,
            stderr,
        });
    }

    /// Drops the oldest pieces that are wholly before `offset`.
    pub fn forget_before(&mut self, offset: u64) {
        while let Some(piece) = self.pieces.front() {
            if piece.end() > offset {
                break;
            }
            self.first = piece.end();
            self.pieces.pop_front();
        }
    }

    /// The piece that holds `offset`, which is kept or is the next byte.
    #[must_use]
    pub fn at(&self, offset: u64) -> Option<&Piece> {
        let index = self.pieces.partition_point(|piece| piece.end() <= offset);
        self.pieces.get(index)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.pieces = VecDeque::new();
        self.first = self.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces too large to be joined, each of one letter.
    fn replay_of(letters: &[&str]) -> Replay {
        let mut replay = Replay::default();
        for letter in letters {
            replay.push(letter.repeat(PIECE_BYTES), String::new());
        }
        replay
    }

    const PIECE: u64 = PIECE_BYTES as u64;

    #[test]
    fn a_late_reader_finds_the_piece_for_its_offset() {
        let replay = replay_of(&["a", "b", "c"]);
        assert!(replay.at(0).unwrap().stdout.starts_with('a'));
        assert!(replay.at(PIECE).unwrap().stdout.starts_with('b'));
        assert_eq!(
            replay.at(PIECE + 1).unwrap().since(2 * PIECE - 2).stdout,
            "bb"
        );
        assert_eq!(replay.at(3 * PIECE), None);
    }

    #[test]
    fn only_whole_pieces_before_an_offset_are_forgotten() {
        let mut replay = replay_of(&["a", "b", "c"]);
        replay.forget_before(PIECE + 1);
        assert_eq!((replay.first(), replay.kept()), (PIECE, 2 * PIECE));
        replay.forget_before(3 * PIECE);
        assert_eq!((replay.first(), replay.kept()), (3 * PIECE, 0));
    }

    #[test]
    fn output_that_comes_byte_by_byte_is_kept_in_few_pieces_and_in_order() {
        let mut replay = Replay::default();
        replay.push("a".into(), String::new());
        replay.push("b".into(), String::new());
        replay.push(String::new(), "x".into());
        assert_eq!(replay.pieces.len(), 1);
        // After standard error, standard output begins a piece: their order is kept.
        replay.push("c".into(), String::new());
        assert_eq!(replay.pieces.len(), 2);
        assert_eq!(replay.at(1).unwrap().since(1).stdout, "b");
        assert_eq!(replay.at(2).unwrap().since(2).stderr, "x");
        assert_eq!(replay.at(3).unwrap().stdout, "c");
        assert_eq!(replay.next(), 4);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let piece = Piece {
            offset: 10,
            stdout: "aé".into(),
            stderr: "ßz".into(),
        };
        assert_eq!(piece.since(12).stdout, "é");
        assert_eq!(piece.since(13).stdout, "");
        assert_eq!(piece.since(14).stderr, "ßz");
        assert_eq!(
            piece.since(15),
            Piece {
                offset: 15,
                stdout: String::new(),
                stderr: "z".into()
            }
        );
    }
}
