//! Logs to standard error or to a file, and the registry of figures for Prometheus.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogSettings};
use crate::listener::hang_ups;
use crate::log_file::LogFile;

/// Lines that wait for a slow disk at most; more are left out, so that it holds up nobody.
const WAITING_LINES: usize = 16_384;

/// Keeps the log's file open; what waits for it is written when this goes.
#[must_use]
pub struct Logging {
    _file: Option<WorkerGuard>,
}

/// Starts logging, once a process.
///
/// # Errors
/// The filter is none, or the file cannot be opened.
pub fn start_logging(settings: &LogSettings) -> anyhow::Result<Logging> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| {
        anyhow::anyhow!("log.filter: {error}; write it as info or info,gururmm_server=debug")
    })?;
    let again = Arc::new(AtomicBool::new(false));
    let file = if settings.file.as_os_str().is_empty() {
        let colours = std::io::stderr().is_terminal();
        start(settings.format, filter, std::io::stderr, colours)?;
        None
    } else {
        let (writer, guard) = to_file(settings, again.clone())?;
        start(settings.format, filter, writer, false)?;
        Some(guard)
    };
    // Always: who waits for no SIGHUP is ended by it.
    actix_web::rt::spawn(async move {
        let mut hang_ups = hang_ups();
        loop {
            hang_ups.next().await;
            again.store(true, Ordering::Relaxed);
            tracing::info!("SIGHUP: the log and the certificate are read anew");
        }
    });
    Ok(Logging { _file: file })
}

fn to_file(
    settings: &LogSettings,
    again: Arc<AtomicBool>,
) -> anyhow::Result<(NonBlocking, WorkerGuard)> {
    let file = LogFile::open(settings, again).map_err(|error| {
        anyhow::anyhow!(
            "log.file: cannot open {}: {error}; make its folder writable for the server's user",
            settings.file.display()
        )
    })?;
    Ok(NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("gururmm-log")
        .finish(file))
}

fn start<W>(format: LogFormat, filter: EnvFilter, writer: W, colours: bool) -> anyhow::Result<()>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        // A line that a full disk refuses is lost; telling of it on the same standard error would panic.
        .log_internal_errors(false)
        .with_ansi(colours);
    match format {
        LogFormat::Text => registry.with(layer.with_target(false)).try_init()?,
        LogFormat::Json => registry.with(layer.json()).try_init()?,
    }
    Ok(())
}

/// Starts collecting figures, once a process.
///
/// # Errors
/// They are collected already.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new().install_recorder()?)
}
