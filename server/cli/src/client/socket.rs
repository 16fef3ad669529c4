//! Dialling a WebSocket of the server: TCP, TLS where the address says so, the opening handshake.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::rest::problem;
use super::{Client, ClientError};

/// A WebSocket of the server.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long the whole may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest message taken: what a terminal of the largest size shows.
const MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// Bytes read at once: two frames of bulk.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Dials `path` (with its query); `authorized` sends the token along.
pub(super) async fn dial(
    client: &Client,
    path: &str,
    authorized: bool,
) -> Result<Socket, ClientError> {
    let unreachable = |cause: String| ClientError::Unreachable {
        server: client.address().to_string(),
        cause,
    };
    tokio::time::timeout(PATIENCE, open(client, path, authorized))
        .await
        .unwrap_or_else(|_| Err(unreachable("no answer in time".to_owned())))
}

async fn open(client: &Client, path: &str, authorized: bool) -> Result<Socket, ClientError> {
    let unreachable = |cause: String| ClientError::Unreachable {
        server: client.address().to_string(),
        cause,
    };
    let url = format!("{}{path}", client.address().web_socket());
    let mut request = url
        .into_client_request()
        .map_err(|error| ClientError::local(error.to_string()))?;
    if let Some(token) = client.token().filter(|_| authorized) {
        let value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
            ClientError::local("the token is no token; log in again: gururmm login")
        })?;
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let uri = request.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let default_port = if uri.scheme_str() == Some("wss") {
        443
    } else {
        80
    };
    let port = uri.port_u16().unwrap_or(default_port);
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    // A keystroke must not wait for the acknowledgement of the last one.
    stream
        .set_nodelay(true)
        .map_err(|error| unreachable(error.to_string()))?;
    let limits = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    let connector = Connector::Rustls(client.trust().config());
    match client_async_tls_with_config(request, stream, Some(limits), Some(connector)).await {
        Ok((socket, _response)) => Ok(socket),
        Err(Error::Http(response)) => {
            let status = response.status().as_u16();
            let body = response.body().as_deref().unwrap_or_default();
            Err(ClientError::Refused(problem(status, body)))
        }
        Err(error) => Err(unreachable(error.to_string())),
    }
}
