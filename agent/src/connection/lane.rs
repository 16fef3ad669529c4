//! Dialling lanes: connections of their own for the bytes of one channel each (`gururmm_shared::lane`), to where the
//! WebSocket goes, with one HTTP request each.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gururmm_shared::lane::{PATH, TOKEN_HEADER};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::dial::{is_secure, place_of, tls_of, uri_of};
use super::proxy::Proxies;
use crate::config::ServerSettings;
use crate::platform;

/// After a lane could not be had, channels stay on the WebSocket for so long.
const REST: Duration = Duration::from_secs(120);
/// Pieces that wait for a lane's socket.
const CHUNKS: usize = 2;

/// Where and how lanes are dialled; clones are the same.
#[derive(Debug, Clone)]
pub struct LaneDialer(Arc<Inner>);

struct Inner {
    uri: Uri,
    /// The folder of the server's `ws`, with a slash at its end.
    folder: String,
    tls: Option<Arc<ClientConfig>>,
    proxies: Proxies,
    key: Mutex<Option<String>>,
    failed: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneDialer").finish_non_exhaustive()
    }
}

/// Ends a task when it is dropped.
#[derive(Debug)]
pub struct Tied(AbortHandle);

impl Tied {
    /// Ties a task.
    pub fn of<T>(task: &JoinHandle<T>) -> Self {
        Self(task.abort_handle())
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A lane whose body is written.
#[derive(Debug)]
pub struct Outward {
    /// Where the body's bytes go; dropped, it ends the body.
    pub pieces: mpsc::Sender<Bytes>,
    /// The server's answer: whether all of it has come.
    pub answer: JoinHandle<Result<(), String>>,
    /// What carries it.
    pub connection: Tied,
}

/// A lane whose body is read.
#[derive(Debug)]
pub struct Inward {
    body: Incoming,
    _connection: Tied,
}

impl Inward {
    /// The next bytes of the body; none at its end, however that came about.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await?;
            if let Ok(bytes) = frame.ok()?.into_data() {
                return Some(bytes);
            }
        }
    }
}

impl LaneDialer {
    /// A dialler for lanes to the server.
    ///
    /// # Errors
    /// A text for the operator: the address or the certificates cannot be used.
    pub fn new(server: &ServerSettings) -> Result<Self, String> {
        let uri = uri_of(&server.url)?;
        let tls = is_secure(&uri).then(|| tls_of(server)).transpose()?;
        let proxies = Proxies::new(server.proxy.as_deref());
        let path = uri.path();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = format!("{folder}/");
        Ok(Self(Arc::new(Inner {
            uri,
            folder,
            tls,
            proxies,
            key: Mutex::default(),
            failed: Mutex::default(),
        })))
    }

    /// The agent's key, with which it is let in.
    pub fn set_key(&self, key: Option<String>) {
        *lock(&self.0.key) = key;
    }

    /// Whether lanes could be had of late, or were not asked for.
    #[must_use]
    pub fn is_promising(&self) -> bool {
        let failed = *lock(&self.0.failed);
        let rests = failed.is_some_and(|failed| failed.elapsed() < REST);
        !rests && lock(&self.0.key).is_some()
    }

    /// A lane could not be had: a while without.
    pub fn rest(&self) {
        *lock(&self.0.failed) = Some(Instant::now());
    }

    /// Begins to send a body; whether the server reads it, it says on the WebSocket.
    ///
    /// # Errors
    /// A text that says which step failed.
    pub async fn put(&self, channel: &str, token: &str) -> Result<Outward, String> {
        let (mut sender, connection) = self.connect().await?;
        let (pieces, body) = mpsc::channel(CHUNKS);
        let request = self.request(Method::PUT, channel, token, Pieces(Some(body)))?;
        let answer = tokio::spawn(async move {
            let response = sender.send_request(request).await;
            checked(response.map_err(|error| error.to_string())?).map(drop)
        });
        Ok(Outward {
            pieces,
            answer,
            connection,
        })
    }

    /// Asks for a body.
    ///
    /// # Errors
    /// A text that says which step failed, or what the server answered.
    pub async fn get(&self, channel: &str, token: &str) -> Result<Inward, String> {
        let (mut sender, connection) = self.connect().await?;
        let request = self.request(Method::GET, channel, token, Pieces(None))?;
        let response = sender.send_request(request).await;
        let response = checked(response.map_err(|error| error.to_string())?)?;
        Ok(Inward {
            body: response.into_body(),
            _connection: connection,
        })
    }

    /// Posts JSON to a path beside the WebSocket, with the agent's key where there is one; answers the status and at
    /// most `most` bytes of the answer.
    ///
    /// # Errors
    /// A text that says which step failed.
    #[cfg(feature = "legacy")]
    pub async fn post(
        &self,
        path: &str,
        body: String,
        most: usize,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let (mut sender, connection) = self.connect().await?;
        let Inner { uri, folder, .. } = &*self.0;
        let authority = uri.authority().map(|authority| authority.as_str());
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{folder}{path}"))
            .header(HOST, authority.unwrap_or_default())
            .header(CONTENT_TYPE, "application/json")
            .header(hyper::header::CONTENT_LENGTH, body.len());
        if let Some(key) = &*lock(&self.0.key) {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let (pieces, sent) = mpsc::channel(1);
        let request = request
            .body(Pieces(Some(sent)))
            .map_err(|error| error.to_string())?;
        // There is room for one, and nothing else is sent.
        let _ = pieces.try_send(Bytes::from(body));
        drop(pieces);
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        let mut inward = Inward {
            body: response.into_body(),
            _connection: connection,
        };
        let mut answer = Vec::new();
        while let Some(bytes) = inward.next().await {
            if answer.len() + bytes.len() > most {
                return Err(format!("{path}: the answer is longer than {most} bytes"));
            }
            answer.extend_from_slice(&bytes);
        }
        Ok((status, answer))
    }

    fn request(
        &self,
        method: Method,
        channel: &str,
        token: &str,
        body: Pieces,
    ) -> Result<Request<Pieces>, String> {
        let Inner { uri, folder, .. } = &*self.0;
        let authority = uri.authority().map(|authority| authority.as_str());
        let key = lock(&self.0.key).clone().unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(format!("{folder}{PATH}/{channel}"))
            .header(HOST, authority.unwrap_or_default())
            .header(AUTHORIZATION, format!("Bearer {key}"))
            .header(TOKEN_HEADER, token)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body)
            .map_err(|error| error.to_string())
    }

    async fn connect(&self) -> Result<(SendRequest<Pieces>, Tied), String> {
        let host = place_of(&self.0.uri).0;
        let stream = self.0.proxies.connect(&self.0.uri).await?;
        platform::tune_socket(&stream)
            .map_err(|error| format!("cannot set up the socket: {error}"))?;
        let Some(tls) = &self.0.tls else {
            return speak(TokioIo::new(stream)).await;
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await
            .map_err(|error| error.to_string())?;
        speak(TokioIo::new(stream)).await
    }
}

async fn speak<T>(io: T) -> Result<(SendRequest<Pieces>, Tied), String>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io)
        .await
        .map_err(|error| error.to_string())?;
    let connection = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a lane has ended");
        }
    });
    Ok((sender, Tied::of(&connection)))
}

fn checked(response: Response<Incoming>) -> Result<Response<Incoming>, String> {
    match response.status() {
        StatusCode::OK | StatusCode::NO_CONTENT => Ok(response),
        status => Err(format!("the server answered {status}")),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body that is sent as it comes, or none.
struct Pieces(Option<mpsc::Receiver<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Some(pieces) => pieces
                .poll_recv(context)
                .map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.0 {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer(url: &str) -> LaneDialer {
        let text = format!("url = \"{url}\"\napi_key = \"A-B-1\"");
        LaneDialer::new(&toml::from_str(&text).unwrap()).unwrap()
    }

    fn path(url: &str) -> String {
        let dialer = dialer(url);
        let request = dialer.request(Method::GET, "s/c", "t", Pieces(None));
        request.unwrap().uri().to_string()
    }

    #[test]
    fn lanes_are_beside_the_websocket_wherever_that_is() {
        assert_eq!(path("wss://rmm.example.com/ws"), "/api/agent/lanes/s/c");
        assert_eq!(path("ws://127.0.0.1:3001/ws"), "/api/agent/lanes/s/c");
        assert_eq!(path("wss://example.com/rmm/ws"), "/rmm/api/agent/lanes/s/c");
    }

    #[test]
    fn a_lane_that_cannot_be_had_is_not_asked_for_again_at_once_nor_without_a_key() {
        let dialer = dialer("ws://127.0.0.1:1/ws");
        assert!(!dialer.is_promising(), "there is no key");
        dialer.set_key(Some("grmm_x".to_owned()));
        assert!(dialer.is_promising());
        dialer.rest();
        assert!(!dialer.is_promising());
    }

    #[test]
    fn neither_key_nor_token_is_shown_by_debug() {
        let dialer = dialer("ws://127.0.0.1:1/ws");
        dialer.set_key(Some("grmm_secret".to_owned()));
        assert!(!format!("{dialer:?}").contains("secret"));
    }
}
