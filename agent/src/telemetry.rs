//! Logging: readable lines or JSON, on standard error or in a bounded file. Never a key, never what a command printed.

use std::io::IsTerminal;
use std::path::Path;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{LogFormat, LogSettings};
use crate::log_file::LogFile;

const MIB: u64 = 1024 * 1024;

/// Starts logging to the configured file, to `otherwise` without one, or else to standard error; the environment's
/// `RUST_LOG` goes before the configured filter. A file that cannot be written is told and is not
/// fatal: it is tried again and again.
///
/// # Errors
/// A text for the operator when a filter is malformed or logging was started before.
pub fn start(settings: &LogSettings, otherwise: Option<&Path>) -> Result<(), String> {
    let (origin, text) = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => ("RUST_LOG", text),
        _ => ("log.filter", settings.filter.clone()),
    };
    let filter = EnvFilter::try_new(&text).map_err(|error| format!("{origin}: {error}"))?;
    let mut problem = None;
    let (writer, colours) = match settings.file.as_deref().or(otherwise) {
        Some(path) => {
            let file = LogFile::new(path, settings.max_mib * MIB, settings.keep);
            problem = file.open().err();
            (BoxMakeWriter::new(file), false)
        }
        None => {
            let colours = std::io::stderr().is_terminal();
            (BoxMakeWriter::new(std::io::stderr), colours)
        }
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // A line that a full disk refuses is lost; telling of it on the same standard error would panic.
        .log_internal_errors(false)
        .with_ansi(colours);
    let started = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Some(error) = problem {
        let file = settings.file.as_deref().or(otherwise).map(Path::display);
        complain(&format!(
            "the log {} cannot be written: {error}; what is logged is lost until it can",
            file.map_or_else(String::new, |file| file.to_string())
        ));
    }
    started.map_err(|error| format!("logging cannot be started: {error}"))
}

/// Whoever started the agent may see it; where nobody does it is lost.
fn complain(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "gururmm-agent: {line}");
}
