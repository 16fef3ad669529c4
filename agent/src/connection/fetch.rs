//! Fetching a file: from the server that the agent serves, in the way in which lanes go there and with the agent's key; or
//! from elsewhere, without it. Whether the file is the right one is not this room's business.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, StatusCode, Uri};

use super::dial::place_of;
use super::lane::{LaneDialer, Pieces, Tied, trusting_public};

/// A file that comes.
#[derive(Debug)]
pub struct Fetched {
    body: Incoming,
    _connection: Tied,
}

impl Fetched {
    /// How long the file is, where that was said.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes; none at the file's end.
    ///
    /// # Errors
    /// A text that says how the connection has ended before that.
    pub async fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
            match frame.transpose().map_err(|error| error.to_string())? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

/// Where a file is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// On the agent's own server, under this path.
    Server(String),
    /// Elsewhere.
    Elsewhere(Uri),
}

impl LaneDialer {
    /// Asks for a file: `address` is a path on the server, or a URL (`http`, `https`). No other place is followed to.
    ///
    /// # Errors
    /// A text that says which step failed, or what was answered.
    pub async fn fetch(&self, address: &str) -> Result<Fetched, String> {
        let place = self.place(address)?;
        let (mut sender, connection): (SendRequest<Pieces>, Tied) = match &place {
            Place::Server(_) => self.connect().await?,
            Place::Elsewhere(uri) => {
                let tls = is_https(uri).then(trusting_public);
                self.connect_to(&socket_of(uri)?, tls.as_ref()).await?
            }
        };
        let request = self.asking_for(&place)?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("the server answered {}", response.status()));
        }
        Ok(Fetched {
            body: response.into_body(),
            _connection: connection,
        })
    }

    fn place(&self, address: &str) -> Result<Place, String> {
        let unusable = || format!("{address:?} is neither a path on the server nor a URL");
        if let Some(path) = address.strip_prefix('/') {
            let path = format!("{}{path}", self.folder());
            // A host could follow two slashes.
            let plain = path.parse::<Uri>().is_ok_and(|uri| uri.host().is_none());
            let place = (plain && !path.starts_with("//")).then_some(Place::Server(path));
            return place.ok_or_else(unusable);
        }
        let uri: Uri = address.parse().map_err(|_| unusable())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !known || uri.host().is_none_or(str::is_empty) {
            return Err(unusable());
        }
        let same = is_https(&uri) == super::dial::is_secure(self.uri())
            && place_of_url(&uri) == place_of(self.uri());
        Ok(match uri.path_and_query() {
            Some(path) if same => Place::Server(path.as_str().to_owned()),
            _ => Place::Elsewhere(uri),
        })
    }

    fn asking_for(&self, place: &Place) -> Result<Request<Pieces>, String> {
        let request = Request::builder().method(Method::GET);
        let request = match place {
            Place::Server(path) => request
                .uri(path)
                .header(HOST, authority(self.uri()))
                .header(AUTHORIZATION, format!("Bearer {}", self.key())),
            Place::Elsewhere(uri) => {
                let path = uri.path_and_query().map_or("/", |path| path.as_str());
                request.uri(path).header(HOST, authority(uri))
            }
        };
        request
            .body(Pieces::none())
            .map_err(|error| error.to_string())
    }
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

fn place_of_url(uri: &Uri) -> (&str, u16) {
    let (host, _) = place_of(uri);
    let default_port = if is_https(uri) { 443 } else { 80 };
    (host, uri.port_u16().unwrap_or(default_port))
}

/// The same place in the form in which it is dialled.
fn socket_of(uri: &Uri) -> Result<Uri, String> {
    let scheme = if is_https(uri) { "wss" } else { "ws" };
    let port = place_of_url(uri).1;
    let text = format!("{scheme}://{}:{port}/", uri.host().unwrap_or_default());
    text.parse().map_err(|error| format!("{uri}: {error}"))
}

/// Host and port without anybody's name and password.
fn authority(uri: &Uri) -> &str {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer(url: &str) -> LaneDialer {
        let text = format!("url = \"{url}\"\napi_key = \"A-B-1\"");
        let dialer = LaneDialer::new(&toml::from_str(&text).unwrap()).unwrap();
        dialer.set_key(Some("grmm_secret".to_owned()));
        dialer
    }

    fn has_key(dialer: &LaneDialer, address: &str) -> bool {
        let place = dialer.place(address).unwrap();
        let request = dialer.asking_for(&place).unwrap();
        request.headers().contains_key(AUTHORIZATION)
    }

    #[test]
    fn a_path_is_beside_the_websocket_wherever_that_is() {
        let place = |url, address| dialer(url).place(address).unwrap();
        let plain = Place::Server("/api/x?y=1".to_owned());
        assert_eq!(place("wss://example.com/ws", "/api/x?y=1"), plain);
        let deep = Place::Server("/rmm/api/x".to_owned());
        assert_eq!(place("wss://example.com/rmm/ws", "/api/x"), deep);
    }

    #[test]
    fn the_agents_key_goes_to_its_own_server_only() {
        let own = dialer("wss://example.com/ws");
        for address in ["/x", "https://example.com/x", "https://example.com:443/x"] {
            assert!(has_key(&own, address), "{address}");
        }
        for address in [
            "http://example.com/x",
            "https://example.com:8443/x",
            "https://example.com.evil.org/x",
            "https://example.com@evil.org/x",
            "https://other.example.com/x",
        ] {
            assert!(!has_key(&own, address), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let own = dialer("wss://example.com/ws");
        for address in [
            "",
            "x",
            "//evil.org/x",
            "ftp://a/x",
            "file:///etc/passwd",
            "https:///x",
            "/a b",
        ] {
            assert!(own.place(address).is_err(), "{address}");
        }
    }
}
