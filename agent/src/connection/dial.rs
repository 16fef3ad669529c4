//! Dialling: TCP, TLS where the address says so, and the WebSocket's opening handshake.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use super::Socket;
use super::proxy::Proxies;
use crate::config::ServerSettings;
use crate::platform;

/// The largest message taken from the server.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// The default of 128 KiB would be most of an idle agent's memory.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// What is written is gathered up to here before the socket gets it: small messages go together, and a
/// piece of bulk goes at once, so that what comes after it is chosen as late as may be.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Where and how to dial.
#[derive(Clone)]
pub struct Dialer {
    uri: Uri,
    proxies: Proxies,
    connector: Option<Connector>,
}

impl Dialer {
    /// A dialler for the server's address that trusts the certificates in `ca_file`, or the public authorities.
    ///
    /// # Errors
    /// A text for the operator: the address or the certificates cannot be used.
    pub fn new(server: &ServerSettings) -> Result<Self, String> {
        let uri = uri_of(&server.url)?;
        let ca_file = server.ca_file.as_deref();
        let connector = ca_file.map(trusting).transpose()?.map(Connector::Rustls);
        Ok(Self {
            uri,
            proxies: Proxies::new(server.proxy.as_deref()),
            connector,
        })
    }

    /// Whether what is sent can be read on the way: no TLS, to another machine.
    pub fn is_in_clear(&self) -> bool {
        self.uri.scheme_str() == Some("ws") && !is_loopback(place_of(&self.uri).0)
    }

    /// Dials once.
    ///
    /// # Errors
    /// A text that says which step failed.
    pub async fn dial(&self) -> Result<Socket, String> {
        let stream = self.proxies.connect(&self.uri).await?;
        platform::tune_socket(&stream)
            .map_err(|error| format!("cannot set up the socket: {error}"))?;
        let opened = self.open(stream).await;
        let (socket, _response) =
            opened.map_err(|error| format!("{} did not open a WebSocket: {error}", self.uri))?;
        Ok(socket)
    }

    /// Opens a WebSocket on a connection that leads to the server.
    ///
    /// # Errors
    /// What is against it: TLS, or the server's answer.
    pub async fn open(&self, stream: TcpStream) -> Result<(Socket, Response), Error> {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        client_async_tls_with_config(
            self.uri.clone(),
            stream,
            Some(limits),
            self.connector.clone(),
        )
        .await
    }
}

/// The server's address, and the cryptography for the way to it.
pub fn uri_of(url: &str) -> Result<Uri, String> {
    // Fails only if it was installed before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    url.parse().map_err(|error| format!("server.url: {error}"))
}

/// Host and port of an address.
#[must_use]
pub fn place_of(uri: &Uri) -> (&str, u16) {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let default_port = if is_secure(uri) { 443 } else { 80 };
    (host, uri.port_u16().unwrap_or(default_port))
}

/// Whether the way to an address is encrypted.
#[must_use]
pub fn is_secure(uri: &Uri) -> bool {
    uri.scheme_str() == Some("wss")
}

/// Whether a host is this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "::1" || host.starts_with("127.")
}

/// How an encrypted way to the server is made.
///
/// # Errors
/// A text for the operator: `server.ca_file` cannot be used.
pub fn tls_of(server: &ServerSettings) -> Result<Arc<ClientConfig>, String> {
    roots_of(server).map(trusting_roots)
}

/// What is trusted on it: the certificates of `server.ca_file`, or the public authorities.
///
/// # Errors
/// As [`tls_of`].
pub fn roots_of(server: &ServerSettings) -> Result<RootCertStore, String> {
    match &server.ca_file {
        Some(ca_file) => read_roots(ca_file),
        None => Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
    }
}

fn trusting_roots(roots: RootCertStore) -> Arc<ClientConfig> {
    Arc::new(
        ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}

fn read_roots(ca_file: &Path) -> Result<RootCertStore, String> {
    let unusable = |problem: String| format!("server.ca_file {}: {problem}", ca_file.display());
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(ca_file).map_err(|error| unusable(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("holds no certificate".to_owned()));
    }
    Ok(roots)
}

fn trusting(ca_file: &Path) -> Result<Arc<ClientConfig>, String> {
    read_roots(ca_file).map(trusting_roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer(url: &str, ca_file: Option<&Path>) -> Result<Dialer, String> {
        let text = format!("url = \"{url}\"\napi_key = \"A-B-1\"");
        let mut server: ServerSettings = toml::from_str(&text).unwrap();
        server.ca_file = ca_file.map(Path::to_owned);
        Dialer::new(&server)
    }

    #[test]
    fn a_clear_text_connection_to_another_machine_is_recognised() {
        let in_clear = |url: &str| dialer(url, None).unwrap().is_in_clear();
        assert!(in_clear("ws://rmm.example.com/ws"));
        assert!(!in_clear("wss://rmm.example.com/ws"));
        assert!(!in_clear("ws://127.0.0.1:3001/ws"));
        assert!(!in_clear("ws://[::1]:3001/ws"));
        assert!(!in_clear("ws://localhost/ws"));
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = dialer("wss://a/ws", Some(file.path())).err().unwrap();
        assert!(error.contains("server.ca_file"), "{error}");
        assert!(dialer("wss://a/ws", Some(Path::new("/nowhere.pem"))).is_err());
    }
}
