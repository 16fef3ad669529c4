//! What the tool says: results on standard output, notes on standard error, as text or as JSON.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;
use crate::plain::plain;

/// How it is said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Say {
    json: bool,
}

impl Say {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// A result: `text` for people, `value` for programs.
    pub fn result(self, text: &str, value: &impl Serialize) -> Result<(), Failure> {
        let line = if self.json {
            serde_json::to_string(value).map_err(|error| Failure::local(error.to_string()))?
        } else {
            text.to_owned()
        };
        raw_out(format!("{line}\n").as_bytes())
    }

    /// A note beside the result; may hold text from an agent.
    pub fn note(self, text: &str) {
        err(&format!("gururmm: {}\n", plain(text)));
    }

    /// Why it ends.
    pub fn failure(self, failure: &Failure) {
        let Some(message) = &failure.message else {
            return;
        };
        let message = plain(message);
        if self.json {
            let value = json!({"error": {"code": failure.code, "message": message}});
            err(&format!("{value}\n"));
        } else {
            err(&format!("gururmm: {message}\n"));
        }
    }
}

/// Bytes to standard output as they are.
pub(crate) fn raw_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // Whoever read it has seen enough, as head(1).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::silent(141)),
        Err(error) => Err(error.into()),
    }
}

/// A line about a terminal in raw mode.
pub(crate) fn raw_note(text: &str) {
    err(&format!("\r\n[gururmm: {}]\r\n", plain(text)));
}

/// What a remote command writes to its standard error; on a terminal without what controls it.
pub(crate) fn remote_err(text: &str) {
    if std::io::stderr().is_terminal() {
        let lines: Vec<_> = text.split('\n').map(plain_line).collect();
        err(&lines.join("\n"));
    } else {
        err(text);
    }
}

fn plain_line(line: &str) -> String {
    let columns: Vec<_> = line.trim_end_matches('\r').split('\t').map(plain).collect();
    columns.join("\t")
}

fn err(text: &str) {
    // Without standard error nobody is there to be told.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
