//! The port: opened, set up for each connection, and held until the process is told to stop.

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use anyhow::Context as _;
use socket2::{Domain, Socket, Type};

use crate::config::Settings;

/// Unacknowledged data ends a connection after so long: a peer that takes nothing freezes its
/// actor, and only the kernel can end that socket.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(45);

/// Sets a new connection up.
pub fn prepare_socket(connection: &dyn Any, _: &mut Extensions) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        let socket = socket2::SockRef::from(stream);
        if let Err(error) = socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)) {
            tracing::debug!(%error, "a socket has no user time-out");
        }
    }
}

/// Waits until the process is told to stop; tells by what.
///
/// # Errors
/// Signals cannot be waited for.
pub async fn stop_signal() -> anyhow::Result<&'static str> {
    #[cfg(unix)]
    {
        use actix_web::rt::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        })
    }
    #[cfg(not(unix))]
    {
        actix_web::rt::signal::ctrl_c().await?;
        Ok("Ctrl-C")
    }
}

/// Connections that wait to be accepted: after a restart all agents come back at once.
const BACKLOG: i32 = 4096;

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restarted server takes its port back at once.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Opens the port, and keeps its address where scripts and tests find it.
///
/// # Errors
/// The port is in use or may not be used, in one line.
pub fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = settings.listen;
    let listener = bind(address).map_err(|error| {
        anyhow::anyhow!("cannot listen on {address}: {error}; stop what uses the port, or set listen to another one")
    })?;
    let bound: SocketAddr = listener.local_addr()?;
    let file = settings.data_dir.join("listen.addr");
    std::fs::write(&file, bound.to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    tracing::info!("listening on http://{bound}");
    Ok(listener)
}
