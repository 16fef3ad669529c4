//! A TCP connection from the machine to somewhere, byte by byte, with each side's end told to the other.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use gururmm_shared::byte_stream::Reset;
use gururmm_shared::{
    Closed, ErrorCode, Opened, OperationError, ResetCode, TcpTarget, TunnelRules,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::stream::Stream;

/// How long it may take until there is a connection, the name's look-up included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Addresses of a name that are tried.
const ADDRESSES: usize = 8;

/// A peer that answers nothing for about so long is gone.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Why bytes go no further.
enum Broken {
    /// The stream to the server is cut off.
    Stream,
    /// The connection is.
    Connection(io::Error),
}

impl From<Reset> for Broken {
    fn from(_: Reset) -> Self {
        Self::Stream
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

/// Connects and carries bytes until both sides have ended.
pub async fn connect(
    stream: &Stream,
    target: &TcpTarget,
    rules: &TunnelRules,
    window: u64,
) -> Closed {
    let connection = match timeout(PATIENCE, dial(target, rules)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Closed::failed(error),
        Err(_) => {
            return Closed::failed(OperationError::new(
                ErrorCode::TimedOut,
                format!("{}:{} does not answer", target.host, target.port),
            ));
        }
    };
    match relay(stream, connection, window).await {
        Ok(()) => Closed::default(),
        Err(Broken::Stream) => Closed::failed(OperationError::new(
            ErrorCode::Cancelled,
            "the stream was cut off",
        )),
        Err(Broken::Connection(error)) => {
            let reason = format!("the connection has failed: {error}");
            // An error means that the session is over and nobody hears it.
            let _ = stream.reset(ResetCode::Failed, reason.as_str()).await;
            Closed::failed(OperationError::new(code_of(&error), reason))
        }
    }
}

async fn dial(target: &TcpTarget, rules: &TunnelRules) -> Result<TcpStream, OperationError> {
    let shown = format!("{}:{}", target.host, target.port);
    if !rules.allows_tcp(&target.host, target.port) {
        return Err(not_allowed());
    }
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((host, target.port))
        .await
        .map_err(|error| {
            OperationError::new(
                ErrorCode::Unreachable,
                format!("{host} cannot be looked up: {error}"),
            )
        })?;
    // A name may say what it likes: where only loopback is allowed, the address decides.
    let loopback_only = rules.tcp_targets.is_empty();
    let allowed: Vec<SocketAddr> = found
        .filter(|address| !loopback_only || address.ip().to_canonical().is_loopback())
        .take(ADDRESSES)
        .collect();
    if allowed.is_empty() {
        return Err(not_allowed());
    }
    let connected = TcpStream::connect(&allowed[..]).await;
    let connection = connected.map_err(|error| {
        OperationError::new(
            code_of(&error),
            format!("{shown} cannot be reached: {error}"),
        )
    })?;
    tune(&connection).map_err(|error| {
        OperationError::new(
            ErrorCode::Failed,
            format!("the socket cannot be set up: {error}"),
        )
    })?;
    Ok(connection)
}

fn tune(connection: &TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    SockRef::from(connection).set_tcp_keepalive(&keepalive)
}

async fn relay(stream: &Stream, mut connection: TcpStream, window: u64) -> Result<(), Broken> {
    let opened = Opened {
        window,
        ..Opened::default()
    };
    stream.opened(opened).await?;
    let (reader, writer) = connection.split();
    // One error ends both; an end of one leaves the other as it is.
    let both = async { tokio::try_join!(to_server(stream, reader), to_target(stream, writer)) };
    tokio::select! {
        both = both => both.map(drop),
        // Nobody reads the stream any more once the server has said its last word.
        _ = stream.until_cut_off() => Err(Broken::Stream),
    }
}

async fn to_server(stream: &Stream, reader: ReadHalf<'_>) -> Result<(), Broken> {
    loop {
        // The buffer is made when there is something for it: most connections wait most of the time.
        reader.readable().await?;
        let room = stream.room().await?;
        let mut buffer = BytesMut::with_capacity(room);
        match reader.try_read_buf(&mut buffer) {
            Ok(0) => return Ok(stream.finish().await?),
            Ok(_) => stream.send(exact(buffer)).await?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A few bytes do not hold a large buffer while they wait.
fn exact(buffer: BytesMut) -> bytes::Bytes {
    if buffer.len() < buffer.capacity() / 2 {
        bytes::Bytes::copy_from_slice(&buffer)
    } else {
        buffer.freeze()
    }
}

async fn to_target(stream: &Stream, mut writer: WriteHalf<'_>) -> Result<(), Broken> {
    while let Some(bytes) = stream.recv().await? {
        writer.write_all(&bytes).await?;
        stream.consumed().await?;
    }
    match writer.shutdown().await {
        // The target has left before.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        done => Ok(done?),
    }
}

fn not_allowed() -> OperationError {
    OperationError::new(
        ErrorCode::NotAllowed,
        "the policy of this machine does not allow connections to there",
    )
}

fn code_of(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::TimedOut => ErrorCode::TimedOut,
        io::ErrorKind::PermissionDenied => ErrorCode::PermissionDenied,
        _ => ErrorCode::Unreachable,
    }
}
