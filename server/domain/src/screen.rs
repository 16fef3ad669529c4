//! What a terminal shows: a shadow of the viewers' terminals, fed with every byte, from which a new viewer
//! is drawn its screen. A raw replay would make its terminal answer queries that were answered long ago.
//!
//! Left out, for the emulator does not tell them: the scrolling region, tab stops and the saved cursor.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gururmm_shared::TerminalSize;

/// Bytes without a control character that ends a string, after which one is put in: the emulator keeps an
/// operating-system command until its end, and it may never come.
const LONGEST_STRING: usize = 64 * 1024;
/// Bytes of a title that are kept.
const TITLE_BYTES: usize = 1024;
/// Faults of the emulator after which a terminal has an empty screen.
const FAULTS: u32 = 8;
/// Bytes of an unfinished sequence that are looked for.
const SEQUENCE_BYTES: usize = 8 * 1024;

/// Cancels what the emulator is in the midst of.
const CANCEL: u8 = 0x18;
const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// The titles that a program has set.
#[derive(Debug, Default)]
struct Titles {
    window: Vec<u8>,
    icon: Vec<u8>,
}

impl vt100::Callbacks for Titles {
    fn set_window_icon_name(&mut self, _: &mut vt100::Screen, name: &[u8]) {
        self.icon = cut(name);
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.window = cut(title);
    }
}

/// A title as it can be sent again: cut, and without control characters.
fn cut(title: &[u8]) -> Vec<u8> {
    let title = &title[..title.len().min(TITLE_BYTES)];
    title.iter().copied().filter(|byte| *byte >= 0x20).collect()
}

/// The screen of one terminal.
pub struct Screen {
    emulator: vt100::Parser<Titles>,
    size: TerminalSize,
    quiet: usize,
    faults: u32,
}

impl Screen {
    /// An empty screen.
    #[must_use]
    pub fn new(size: TerminalSize) -> Self {
        Self {
            emulator: emulator(size),
            size,
            quiet: 0,
            faults: 0,
        }
    }

    /// Takes what the program wrote.
    pub fn feed(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.faults >= FAULTS {
            return;
        }
        let ends = |byte: &u8| matches!(*byte, ESCAPE | BELL | CANCEL | 0x1a);
        self.quiet = match bytes.iter().rposition(ends) {
            Some(last) => bytes.len() - 1 - last,
            None => self.quiet + bytes.len(),
        };
        let cancel = self.quiet >= LONGEST_STRING;
        if cancel {
            self.quiet = 0;
        }
        self.guarded(|emulator| {
            emulator.process(bytes);
            if cancel {
                emulator.process(&[CANCEL]);
            }
        });
    }

    /// Takes another size.
    pub fn resize(&mut self, size: TerminalSize) {
        self.size = size;
        self.guarded(|emulator| emulator.screen_mut().set_size(size.rows, size.cols));
    }

    /// Bytes that draw the screen on an empty terminal of its size: titles, the screen below the alternate
    /// one, the screen, cursor, attributes, modes.
    #[must_use]
    pub fn draw(&mut self) -> Vec<u8> {
        let mut drawn = Vec::new();
        self.guarded(|emulator| drawn = draw(emulator));
        drawn
    }

    /// What a program writes makes the emulator panic now and then; a technician's session does not end by
    /// it, the screen is empty instead until the program draws again.
    fn guarded(&mut self, step: impl FnOnce(&mut vt100::Parser<Titles>)) {
        let emulator = &mut self.emulator;
        if catch_unwind(AssertUnwindSafe(|| step(emulator))).is_err() {
            self.faults += 1;
            self.emulator = self::emulator(self.size);
        }
    }
}

fn emulator(size: TerminalSize) -> vt100::Parser<Titles> {
    vt100::Parser::new_with_callbacks(size.rows, size.cols, 0, Titles::default())
}

fn draw(emulator: &mut vt100::Parser<Titles>) -> Vec<u8> {
    let mut drawn = Vec::new();
    let titles = emulator.callbacks();
    for (number, title) in [(b'1', &titles.icon), (b'2', &titles.window)] {
        if !title.is_empty() {
            drawn.extend_from_slice(&[ESCAPE, b']', number, b';']);
            drawn.extend_from_slice(title);
            drawn.push(BELL);
        }
    }
    let screen = emulator.screen();
    if screen.alternate_screen() {
        let (rows, cols) = screen.size();
        let mut below = vt100::Parser::new(rows, cols, 0);
        *below.screen_mut() = screen.clone();
        below.process(b"\x1b[?47l");
        drawn.extend(below.screen().contents_formatted());
        // What is saved with it comes back when the editor ends, and that is hardly ever a colour.
        drawn.extend_from_slice(b"\x1b[m\x1b[?1049h");
    }
    drawn.extend(screen.state_formatted());
    drawn
}

/// How many of the last bytes belong to an escape sequence or a character that has not ended: a viewer
/// that is drawn the screen gets these again, before what follows.
#[must_use]
pub fn unfinished(bytes: &[u8]) -> usize {
    let bytes = &bytes[bytes.len().saturating_sub(SEQUENCE_BYTES)..];
    let escape = bytes.iter().rposition(|byte| *byte == ESCAPE);
    if let Some(escape) = escape
        && !sequence_ends(&bytes[escape + 1..])
    {
        return bytes.len() - escape;
    }
    for length in 1..=bytes.len().min(3) {
        let first = bytes[bytes.len() - length];
        let whole = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        return if length < whole { length } else { 0 };
    }
    0
}

/// Whether a sequence ends within what follows its escape character (ECMA-48 section 5).
fn sequence_ends(after: &[u8]) -> bool {
    let is_final = |from: u8| move |byte: &u8| (from..=0x7e).contains(byte) || *byte == CANCEL;
    match after.split_first() {
        None => false,
        Some((b'[', rest)) => rest.iter().any(is_final(0x40)),
        Some((b']' | b'P' | b'X' | b'^' | b'_', rest)) => {
            rest.iter().any(|byte| matches!(*byte, BELL | CANCEL))
        }
        Some((0x20..=0x2f, rest)) => rest.iter().any(is_final(0x30)),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: TerminalSize = TerminalSize { cols: 20, rows: 5 };

    fn shown(bytes: &[u8]) -> vt100::Parser {
        let mut parser = vt100::Parser::new(SIZE.rows, SIZE.cols, 0);
        parser.process(bytes);
        parser
    }

    fn same(left: &vt100::Parser, right: &vt100::Parser) {
        let (left, right) = (left.screen(), right.screen());
        assert_eq!(left.state_formatted(), right.state_formatted());
        assert_eq!(left.alternate_screen(), right.alternate_screen());
    }

    const PROGRAM: &[u8] =
        "one\r\n\x1b[1;31mtwo é漢\x1b[0m\r\n\x1b[?2004h\x1b[?1h\x1b[3;4Hx\x1b[?1049h\x1b[2J\
        \x1b[Hin \x1b[4mvi\x1b[?25l\x1b]2;a title\x07\x1b(Bq\x1b[?1049l\x1b[?25h 🦀 done"
            .as_bytes();

    #[test]
    fn a_screen_that_is_drawn_anywhere_goes_on_as_the_original_does() {
        let whole = shown(PROGRAM);
        for cut in 0..=PROGRAM.len() {
            let (before, after) = PROGRAM.split_at(cut);
            let mut screen = Screen::new(SIZE);
            screen.feed(before);
            let again = unfinished(before);
            let mut viewer = screen.draw();
            viewer.extend_from_slice(&before[before.len() - again..]);
            viewer.extend_from_slice(after);
            same(&shown(&viewer), &whole);
        }
    }

    #[test]
    fn bytes_that_end_inside_of_a_sequence_or_a_character_are_known() {
        for open in [
            &b"text\x1b"[..],
            b"\x1b[",
            b"\x1b[38;5;1",
            b"a\x1b]0;tit",
            b"\x1b(",
            b"\x1bPq#0",
            b"\xe6\xbc",
        ] {
            assert!(unfinished(open) > 0, "{open:?}");
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
            assert_eq!(unfinished(whole), 0, "{whole:?}");
        }
    }

    #[test]
    fn the_screen_below_the_alternate_one_is_there_when_the_editor_ends() {
        let mut screen = Screen::new(SIZE);
        screen.feed(b"$ vi\r\n\x1b[?1049h\x1b[2J\x1b[Htext");
        let mut viewer = shown(&screen.draw());
        assert!(viewer.screen().alternate_screen());
        assert_eq!(viewer.screen().contents(), "text");
        viewer.process(b"\x1b[?1049l");
        assert_eq!(viewer.screen().contents(), "$ vi");
        assert_eq!(viewer.screen().cursor_position(), (1, 0));
    }

    #[test]
    fn a_title_is_drawn_again_without_what_could_end_it() {
        let mut screen = Screen::new(SIZE);
        screen.feed(b"\x1b]0;home\x07");
        let drawn = String::from_utf8(screen.draw()).unwrap();
        assert!(
            drawn.starts_with("\x1b]1;home\x07\x1b]2;home\x07"),
            "{drawn:?}"
        );
    }

    #[test]
    fn no_query_is_sent_again() {
        let mut screen = Screen::new(SIZE);
        screen.feed(b"\x1b[6n\x1b[c\x1b]11;?\x07\x1bP+q544e\x1b\\ready");
        let drawn = screen.draw();
        for query in [&b"\x1b[6n"[..], b"\x1b[c", b"\x1b]11", b"\x1bP"] {
            assert!(!drawn.windows(query.len()).any(|part| part == query));
        }
    }

    #[test]
    fn a_string_that_never_ends_is_cut_off() {
        let mut screen = Screen::new(SIZE);
        screen.feed(b"\x1b]2;");
        for _ in 0..5 {
            screen.feed(&[b'x'; 32 * 1024]);
        }
        screen.feed(b"\x1b[2J\x1b[Hstill here");
        assert_eq!(shown(&screen.draw()).screen().contents(), "still here");
    }

    #[test]
    fn another_size_keeps_what_fits() {
        let mut screen = Screen::new(SIZE);
        screen.feed(b"hello\r\nworld");
        screen.resize(TerminalSize { cols: 3, rows: 2 });
        let mut parser = vt100::Parser::new(2, 3, 0);
        parser.process(&screen.draw());
        assert_eq!(parser.screen().contents(), "hel\nwor");
    }

    #[test]
    fn nonsense_of_any_kind_ends_in_some_screen() {
        let mut seed = 1_u32;
        for size in [(1, 1), (2, 1), (20, 5)] {
            let (cols, rows) = size;
            let mut screen = Screen::new(TerminalSize { cols, rows });
            for _ in 0..2000 {
                let mut bytes = [0_u8; 48];
                for byte in &mut bytes {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let any = (seed >> 24).to_le_bytes()[0];
                    *byte = if any < 60 { ESCAPE } else { any };
                }
                screen.feed(&bytes);
                let _ = screen.draw();
            }
        }
    }
}
