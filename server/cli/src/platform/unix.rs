//! Terminals, signals and permissions of Unix.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use gururmm_shared::TerminalSize;
use rustix::termios::{
    LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The terminal in raw mode, until this is dropped.
#[derive(Debug)]
pub(crate) struct RawTerminal {
    before: Option<Termios>,
}

impl RawTerminal {
    /// Sets the terminal at standard input to raw mode; does nothing where there is none.
    pub fn enter() -> io::Result<Self> {
        let input = io::stdin();
        if !isatty(&input) {
            return Ok(Self { before: None });
        }
        let before = tcgetattr(&input)?;
        let mut raw = before.clone();
        raw.make_raw();
        // What was typed before is for the program in the terminal.
        tcsetattr(&input, OptionalActions::Drain, &raw)?;
        Ok(Self {
            before: Some(before),
        })
    }

    /// Whether there is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.before.is_some()
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, before);
        }
    }
}

/// The size of the terminal at standard output.
pub(crate) fn window_size() -> Option<TerminalSize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| {
        TerminalSize {
            cols: size.ws_col,
            rows: size.ws_row,
        }
        .clamped()
    })
}

/// Asks for a password at the terminal itself, whatever standard input is.
pub(crate) fn read_password(prompt: &str) -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    terminal.write_all(prompt.as_bytes())?;
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let restore = Silent(terminal.try_clone()?, before);
    let mut line = String::new();
    let read = BufReader::new(terminal.try_clone()?).read_line(&mut line);
    drop(restore);
    terminal.write_all(b"\n")?;
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

struct Silent(File, Termios);

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.0, OptionalActions::Drain, &self.1);
    }
}

/// The signals that end the tool, and the one that says that the window has another size.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    resized: Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            resized: signal(SignalKind::window_change())?,
        })
    }

    /// Waits for one that asks to end; answers the exit code that a shell gives it.
    pub async fn end(&mut self) -> u8 {
        let number = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        };
        128 + u8::try_from(number.as_raw_value()).unwrap_or(2)
    }

    /// Waits for one that asks to end (then its exit code), or that says that the window has another size.
    pub async fn end_or_resized(&mut self) -> Option<u8> {
        let number = tokio::select! {
            _ = self.resized.recv() => return None,
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        };
        Some(128 + u8::try_from(number.as_raw_value()).unwrap_or(2))
    }
}

/// The permission bits of a file.
pub(crate) fn permissions(metadata: &Metadata) -> Option<u32> {
    Some(metadata.permissions().mode() & 0o7777)
}

/// Options that make a file which only its owner reads.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
