//! Logging: readable lines or JSON on standard error. Never a key, never what a command printed.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Starts logging; the environment's `RUST_LOG` goes before the configured filter.
///
/// # Errors
/// A text for the operator when a filter is malformed or logging was started before.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    let (origin, text) = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => ("RUST_LOG", text),
        _ => ("log.filter", settings.filter.clone()),
    };
    let filter = EnvFilter::try_new(&text).map_err(|error| format!("{origin}: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A line that a full disk refuses is lost; telling of it on the same standard error would panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| format!("logging cannot be started: {error}"))
}
