//! `~.` and `~?` at the beginning of a line, as ssh knows them.

/// What typed bytes ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// Send these.
    Send(Vec<u8>),
    /// End.
    End,
    /// Show what there is.
    Help,
}

/// Where the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    Tilde,
    Within,
}

/// Looks for escapes in what is typed.
#[derive(Debug)]
pub(super) struct Escapes {
    state: State,
}

impl Escapes {
    pub fn new() -> Self {
        Self {
            state: State::LineStart,
        }
    }

    /// Takes typed bytes, however they are split.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Typed> {
        let mut asked = Vec::new();
        let mut send = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let state = self.state;
            self.state = match byte {
                b'\r' | b'\n' => State::LineStart,
                b'~' if state == State::LineStart => State::Tilde,
                b'?' if state == State::Tilde => State::LineStart,
                _ => State::Within,
            };
            match (state, byte) {
                (State::LineStart, b'~') => {}
                (State::Tilde, b'.' | b'?') => {
                    if !send.is_empty() {
                        asked.push(Typed::Send(std::mem::take(&mut send)));
                    }
                    asked.push(if *byte == b'.' {
                        Typed::End
                    } else {
                        Typed::Help
                    });
                }
                (State::Tilde, b'~') => send.push(b'~'),
                (State::Tilde, other) => send.extend([b'~', *other]),
                (_, other) => send.push(*other),
            }
        }
        if !send.is_empty() {
            asked.push(Typed::Send(send));
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pieces: &[&str]) -> Vec<Typed> {
        let mut escapes = Escapes::new();
        pieces
            .iter()
            .flat_map(|piece| escapes.take(piece.as_bytes()))
            .collect()
    }

    fn send(text: &str) -> Typed {
        Typed::Send(text.as_bytes().to_vec())
    }

    #[test]
    fn a_tilde_and_a_dot_end_at_the_beginning_of_a_line_only() {
        assert_eq!(typed(&["~."]), [Typed::End]);
        assert_eq!(typed(&["ls\r~."]), [send("ls\r"), Typed::End]);
        assert_eq!(typed(&["ls\r", "~", "."]), [send("ls\r"), Typed::End]);
        assert_eq!(typed(&["cd ~.\r"]), [send("cd ~.\r")]);
    }

    #[test]
    fn a_tilde_for_the_machine_arrives() {
        assert_eq!(typed(&["~~."]), [send("~.")]);
        assert_eq!(typed(&["~/bin\r"]), [send("~/bin\r")]);
        assert_eq!(typed(&["~", "\r~."]), [send("~\r"), Typed::End]);
    }

    #[test]
    fn help_leaves_the_line_where_it_was() {
        assert_eq!(typed(&["~?~."]), [Typed::Help, Typed::End]);
    }
}
