//! Text from an agent as it may be shown: without characters that control a terminal.

/// The same text with each control character, and each that changes the direction of writing, as `�`.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if is_unsafe(c) { '\u{fffd}' } else { c })
        .collect()
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_controls_a_terminal_is_left() {
        assert_eq!(plain("a\x1b[31mb\r\n\u{9b}c\u{202e}d"), "a�[31mb���c�d");
        assert_eq!(plain("Müller – 机器"), "Müller – 机器");
    }
}
