//! The way to the server: straight, or through an HTTP proxy by CONNECT (RFC 9110, 9.3.6), which the configuration names,
//! or the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`). To this machine itself it leads through a proxy only
//! if the configuration names one. The caller limits the time.

use std::fmt;
use std::sync::Arc;

use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::dial::{is_loopback, place_of};
use super::lane::Tied;

/// Bytes of a proxy's answer, its headers included.
const MOST_ANSWER: usize = 16 * 1024;

/// Which proxies there are; clones are the same.
#[derive(Clone)]
pub struct Proxies {
    matcher: Arc<Matcher>,
    is_configured: bool,
}

/// One proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub host: String,
    /// And at which port.
    pub port: u16,
    /// How the agent is let in there.
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").finish_non_exhaustive()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Proxies {
    /// The proxy of `server.proxy`, none where that is `none`, and those of the environment without it.
    #[must_use]
    pub fn new(configured: Option<&str>) -> Self {
        Self::of(configured, |name| std::env::var(name).ok())
    }

    fn of(configured: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 2]| names.into_iter().find_map(&variable);
        let matcher = match configured {
            Some("none") => Matcher::builder(),
            Some(url) => Matcher::builder().https(url.to_owned()),
            None => Matcher::builder()
                .https(first(["HTTPS_PROXY", "https_proxy"]).unwrap_or_default())
                .all(first(["ALL_PROXY", "all_proxy"]).unwrap_or_default())
                .no(first(["NO_PROXY", "no_proxy"]).unwrap_or_default()),
        };
        Self {
            matcher: Arc::new(matcher.build()),
            is_configured: configured.is_some(),
        }
    }

    /// The proxy on the way to an address, if there is one.
    ///
    /// # Errors
    /// A text for the operator: the proxy is of a kind that the agent does not know.
    pub fn on_the_way_to(&self, uri: &Uri) -> Result<Option<Proxy>, String> {
        let (host, port) = place_of(uri);
        if is_loopback(host) && !self.is_configured {
            return Ok(None);
        }
        // With or without TLS: what goes through is a WebSocket, of which a proxy must not see more than bytes.
        let asked = format!("https://{}:{port}", uri.host().unwrap_or_default());
        let asked: Uri = asked
            .parse()
            .map_err(|error| format!("server.url: {error}"))?;
        let Some(proxy) = self.matcher.intercept(&asked) else {
            return Ok(None);
        };
        let uri = proxy.uri();
        if uri.scheme_str() != Some("http") {
            let scheme = uri.scheme_str().unwrap_or_default();
            return Err(format!(
                "the environment names a proxy by {scheme}://, and the agent knows http:// only: set server.proxy"
            ));
        }
        Ok(Some(Proxy {
            host: uri
                .host()
                .unwrap_or_default()
                .trim_matches(['[', ']'])
                .to_owned(),
            port: uri.port_u16().unwrap_or(80),
            authorization: proxy.basic_auth().cloned(),
        }))
    }

    /// Connects to where an address leads, through the proxy on the way if there is one.
    ///
    /// # Errors
    /// A text that says which step failed, and what to do where that is known.
    pub async fn connect(&self, uri: &Uri) -> Result<TcpStream, String> {
        match self.on_the_way_to(uri)? {
            Some(proxy) => {
                let stream = reach(&proxy.host, proxy.port)
                    .await
                    .map_err(|error| format!("cannot reach the proxy {proxy}: {error}"))?;
                proxy.tunnel(stream, uri).await
            }
            None => {
                let (host, port) = place_of(uri);
                reach(host, port)
                    .await
                    .map_err(|error| format!("cannot reach {host}:{port}: {error}"))
            }
        }
    }
}

async fn reach(host: &str, port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((host, port)).await
}

impl Proxy {
    /// Asks the proxy at the other end for a way to an address; from then on the stream leads there.
    ///
    /// # Errors
    /// What the proxy said against it.
    pub async fn tunnel(&self, stream: TcpStream, uri: &Uri) -> Result<TcpStream, String> {
        let port = place_of(uri).1;
        let target = format!("{}:{port}", uri.host().unwrap_or_default());
        let failed = |error: hyper::Error| format!("the proxy {self} gave no way: {error}");
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MOST_ANSWER)
            .handshake::<_, String>(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        let connection = tokio::spawn(connection.with_upgrades());
        // Who gives up waiting has no more use for it.
        let _tied = Tied::of(&connection);
        let mut request = Request::connect(&target).header(HOST, &target);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        let request = request
            .body(String::new())
            .map_err(|error| format!("server.url: {error}"))?;
        let response = sender.send_request(request).await.map_err(failed)?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::PROXY_AUTHENTICATION_REQUIRED if self.authorization.is_none() => {
                return Err(format!(
                    "the proxy {self} asks for a name and a password: put them into server.proxy, as http://user:password@host:port"
                ));
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                return Err(format!(
                    "the proxy {self} does not accept the name and password of server.proxy"
                ));
            }
            status => {
                return Err(format!(
                    "the proxy {self} refuses the way to {target} ({status}): it has to allow CONNECT to there"
                ));
            }
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(failed)?;
        let parts = upgraded
            .downcast::<TokioIo<TcpStream>>()
            .map_err(|_| format!("the proxy {self} gave no way"))?;
        if !parts.read_buf.is_empty() {
            return Err(format!("the proxy {self} speaks where the server should"));
        }
        Ok(parts.io.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(
        configured: Option<&str>,
        environment: &[(&str, &str)],
        url: &str,
    ) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = Proxies::of(configured, variable).on_the_way_to(&url.parse().unwrap())?;
        Ok(proxy.map(|proxy| {
            let secret = proxy
                .authorization
                .map(|it| it.to_str().unwrap().to_owned());
            format!(
                "{}:{} {}",
                proxy.host,
                proxy.port,
                secret.unwrap_or_default()
            )
        }))
    }

    const FAR: &str = "wss://rmm.example.com/ws";
    const NEAR: &str = "ws://127.0.0.1:3001/ws";

    #[test]
    fn the_file_goes_before_the_environment_and_none_is_none() {
        let environment = [("HTTPS_PROXY", "http://env:1")];
        let file = Some("http://file:2");
        assert_eq!(way(file, &environment, FAR).unwrap().unwrap(), "file:2 ");
        assert_eq!(way(None, &environment, FAR).unwrap().unwrap(), "env:1 ");
        assert_eq!(way(Some("none"), &environment, FAR), Ok(None));
        assert_eq!(way(None, &[], FAR), Ok(None));
    }

    #[test]
    fn the_machine_itself_and_what_the_environment_excepts_is_reached_without_it() {
        let environment = [
            ("https_proxy", "http://env:1"),
            ("no_proxy", "example.org, .example.com, 10.0.0.0/8"),
        ];
        for url in [
            FAR,
            NEAR,
            "ws://localhost/ws",
            "wss://[::1]/ws",
            "wss://10.1.2.3/ws",
        ] {
            assert_eq!(way(None, &environment, url), Ok(None), "{url}");
        }
        let other = way(None, &environment, "wss://rmm.example.net/ws");
        assert_eq!(other.unwrap().unwrap(), "env:1 ");
        // Who writes it into the file means it.
        assert!(
            way(Some("http://file:2"), &environment, NEAR)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn name_and_password_are_sent_decoded_and_never_shown() {
        let url = "http://us%40er:p%3Ass@proxy:3128";
        let told = way(Some(url), &[], FAR).unwrap().unwrap();
        assert_eq!(told, "proxy:3128 Basic dXNAZXI6cDpzcw==");
        let proxies = Proxies::new(Some(url));
        let proxy = proxies.on_the_way_to(&FAR.parse().unwrap()).unwrap();
        assert_eq!(
            format!("{proxies:?} {:?}", proxy.unwrap()),
            "Proxies { .. } Proxy(proxy:3128)"
        );
    }

    #[test]
    fn a_kind_of_proxy_that_is_not_known_is_told() {
        let environment = [("ALL_PROXY", "socks5://env:1")];
        assert!(way(None, &environment, FAR).unwrap_err().contains("socks5"));
    }
}
