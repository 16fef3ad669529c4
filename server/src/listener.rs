//! The port: opened, set up for each connection, and held until the process is told to stop.

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

#[cfg(target_os = "linux")]
use actix_tls::accept::rustls_0_23::TlsStream;
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
    if let Some(stream) = plain(connection) {
        let socket = socket2::SockRef::from(stream);
        if let Err(error) = socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)) {
            tracing::debug!(%error, "a socket has no user time-out");
        }
    }
}

/// The socket of a connection, beneath its encryption where there is one.
#[cfg(target_os = "linux")]
fn plain(connection: &dyn Any) -> Option<&TcpStream> {
    connection.downcast_ref::<TcpStream>().or_else(|| {
        Some(
            connection
                .downcast_ref::<TlsStream<TcpStream>>()?
                .get_ref()
                .0,
        )
    })
}

/// The requests to read files anew: each waiter hears of each. Ends never; where the system knows none, none comes.
pub struct HangUps {
    #[cfg(unix)]
    signal: Option<actix_web::rt::signal::unix::Signal>,
}

/// Begins to listen for SIGHUP.
#[must_use]
pub fn hang_ups() -> HangUps {
    #[cfg(unix)]
    {
        use actix_web::rt::signal::unix::{SignalKind, signal};
        let signal = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be waited for"))
            .ok();
        HangUps { signal }
    }
    #[cfg(not(unix))]
    HangUps {}
}

impl HangUps {
    /// Waits for the next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
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

/// The ports that are served.
pub struct Ports {
    /// The server's own.
    pub main: TcpListener,
    /// The one that sends browsers to the encrypted one.
    pub redirect: Option<TcpListener>,
}

/// Opens the ports, and keeps the own one's address where scripts and tests find it. Sockets that a service manager
/// hands over (`LISTEN_FDS`) are taken instead: they stay open while the server restarts, so that nobody is refused.
///
/// # Errors
/// A port is in use or may not be used, in one line.
pub fn listen(settings: &Settings) -> anyhow::Result<Ports> {
    let mut given = Given::take()?;
    let main = match given.next()? {
        Some(listener) => listener,
        None => open("listen", settings.listen)?,
    };
    let redirect = match (settings.tls.redirect_listen, given.next()?) {
        (None, None) => None,
        (Some(_), Some(listener)) => Some(listener),
        (Some(address), None) => Some(open("tls.redirect_listen", address)?),
        (None, Some(_)) => anyhow::bail!(
            "the service manager handed over two sockets, and tls.redirect_listen is not set; set it, or leave one ListenStream out"
        ),
    };
    let bound: SocketAddr = main.local_addr()?;
    let file = settings.data_dir.join("listen.addr");
    std::fs::write(&file, bound.to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let scheme = if settings.tls.is_own() {
        "https"
    } else {
        "http"
    };
    tracing::info!("listening on {scheme}://{bound}");
    if let Some(redirect) = &redirect {
        tracing::info!("http://{} leads there", redirect.local_addr()?);
    }
    Ok(Ports { main, redirect })
}

fn open(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    bind(address).map_err(|error| {
        anyhow::anyhow!("cannot listen on {address}: {error}; stop what uses the port, or set {key} to another one")
    })
}

/// What a service manager handed over, in its order.
struct Given {
    #[cfg(unix)]
    sockets: listenfd::ListenFd,
    #[cfg(unix)]
    index: usize,
}

impl Given {
    fn take() -> anyhow::Result<Self> {
        #[cfg(unix)]
        {
            let sockets = listenfd::ListenFd::from_env();
            anyhow::ensure!(
                sockets.len() <= 2,
                "the service manager handed over {} sockets, and two can be used: the server's and the redirect's",
                sockets.len()
            );
            Ok(Self { sockets, index: 0 })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    fn next(&mut self) -> anyhow::Result<Option<TcpListener>> {
        #[cfg(unix)]
        {
            let index = self.index;
            self.index += 1;
            if index >= self.sockets.len() {
                return Ok(None);
            }
            let taken = self.sockets.take_tcp_listener(index).context(
                "the service manager handed over a socket that takes no TCP connections; write ListenStream=PORT",
            )?;
            if let Some(listener) = &taken {
                listener.set_nonblocking(true)?;
                tracing::info!(
                    address = %listener.local_addr()?,
                    "a socket was taken over from the service manager"
                );
            }
            Ok(taken)
        }
        #[cfg(not(unix))]
        Ok(None)
    }
}
