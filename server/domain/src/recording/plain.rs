//! Terminal output as plain text: escape sequences and control characters left out.

/// What comes out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// A character.
    Char(char),
    /// The last character is taken back.
    Back,
    /// A line ends.
    LineEnd,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Ground,
    Escape,
    /// Inside of `ESC [`.
    Control,
    /// Inside of a string, as a title.
    Text,
    /// After an ESC inside of a string.
    TextEscape,
    /// After `ESC (` and the like.
    Charset,
}

/// Takes sequences out of a stream of characters.
#[derive(Debug, Default)]
pub(super) struct PlainText {
    state: State,
}

impl PlainText {
    /// Takes one character.
    pub(super) fn push(&mut self, c: char) -> Option<Plain> {
        use State::{Charset, Control, Escape, Ground, Text, TextEscape};
        let (state, out) = match (self.state, c) {
            (Text, '\u{1b}') => (TextEscape, None),
            (Text, '\u{7}') | (TextEscape, '\\') => (Ground, None),
            (Text, _) => (Text, None),
            (_, '\u{1b}') => (Escape, None),
            (Escape | TextEscape, '[') => (Control, None),
            (Escape | TextEscape, ']' | 'P' | 'X' | '^' | '_') => (Text, None),
            (Escape | TextEscape, ' '..='/') => (Charset, None),
            (Escape | TextEscape, _) => (Ground, None),
            (Control, '@'..='~') => (Ground, None),
            (Control, _) => (Control, None),
            (Charset, '0'..='~') => (Ground, None),
            (Charset, _) => (Charset, None),
            (Ground, '\n' | '\r') => (Ground, Some(Plain::LineEnd)),
            (Ground, '\u{8}') => (Ground, Some(Plain::Back)),
            (Ground, '\t') => (Ground, Some(Plain::Char(' '))),
            (Ground, c) if c.is_control() => (Ground, None),
            (Ground, c) => (Ground, Some(Plain::Char(c))),
        };
        self.state = state;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_titles_and_charsets_are_no_text() {
        let mut plain = PlainText::default();
        let shown =
            "\u{1b}]0;title\u{7}a\u{1b}[1;31mb\u{1b}(Bc\u{1b}]0;x\u{1b}\\d\u{1b}Me\u{7}\r\nf";
        let text: String = shown
            .chars()
            .filter_map(|c| plain.push(c))
            .map(|plain| match plain {
                Plain::Char(c) => c,
                Plain::Back => '<',
                Plain::LineEnd => '|',
            })
            .collect();
        assert_eq!(text, "abcde||f");
    }
}
