//! The port without encryption: it sends browsers to the encrypted one, and takes nothing.

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::config::host;
use crate::error::AppError;

/// Where the encrypted port is.
#[derive(Debug, Clone)]
pub struct Target {
    /// `server.public_url`; empty where the request says it.
    pub public_url: String,
    /// The encrypted port, for where it does.
    pub port: u16,
}

impl Target {
    /// The address of a path, for a request whose `Host` is this; nothing where that is no host.
    fn address(&self, asked_host: Option<&str>, path: &str) -> Option<String> {
        if !self.public_url.is_empty() {
            return Some(format!("{}{path}", self.public_url));
        }
        let asked = format!("http://{}", asked_host?);
        let host = host(&asked)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if host.len() > 253 || !host.chars().all(plain) {
            return None;
        }
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        Some(match self.port {
            443 => format!("https://{host}{path}"),
            port => format!("https://{host}:{port}{path}"),
        })
    }
}

/// Sends what only reads to the encrypted port. What changes something has sent its secrets in clear already: it is
/// refused, so that somebody notices.
///
/// # Errors
/// 403 `https_only`.
pub async fn redirect(
    request: HttpRequest,
    target: Data<Target>,
) -> Result<HttpResponse, AppError> {
    let asked = request.headers().get(header::HOST);
    let asked = asked.and_then(|host| host.to_str().ok());
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let address = target.address(asked, path);
    match address {
        Some(address) if matches!(*request.method(), Method::GET | Method::HEAD) => {
            Ok(HttpResponse::build(StatusCode::PERMANENT_REDIRECT)
                .insert_header((header::LOCATION, address))
                .finish())
        }
        _ => Err(AppError::forbidden(
            "https_only",
            "this port only leads to the encrypted one; use https, and change what was sent in clear",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_the_public_url_or_to_the_host_it_asked_for() {
        let public = Target {
            public_url: "https://rmm.example.com".to_owned(),
            port: 8443,
        };
        let own = Target {
            public_url: String::new(),
            port: 8443,
        };
        let standard = Target {
            port: 443,
            ..own.clone()
        };
        for (target, host, expected) in [
            (
                &public,
                Some("evil.test"),
                Some("https://rmm.example.com/a?b=c"),
            ),
            (&public, None, Some("https://rmm.example.com/a?b=c")),
            (&own, Some("rmm:80"), Some("https://rmm:8443/a?b=c")),
            (&own, Some("[::1]:80"), Some("https://[::1]:8443/a?b=c")),
            (&standard, Some("rmm"), Some("https://rmm/a?b=c")),
            (&own, None, None),
            (&own, Some("evil.test/x"), None),
            (&own, Some("a@evil.test"), None),
        ] {
            let found = target.address(host, "/a?b=c");
            assert_eq!(found.as_deref(), expected, "{host:?}");
        }
    }
}
