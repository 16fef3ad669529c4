//! The address of a server: `https://rmm.example.com`, without a slash at its end.

use std::fmt;
use std::str::FromStr;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerAddress(String);

/// Why a text is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of a server; write it as https://rmm.example.com")]
pub struct InvalidAddress(String);

impl ServerAddress {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of its WebSockets.
    #[must_use]
    pub fn web_socket(&self) -> String {
        self.0.replacen("http", "ws", 1)
    }

    /// Whether what is sent can be read on the way: no TLS, to another machine.
    #[must_use]
    pub fn is_in_clear(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else {
            return false;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let numeric = host.parse::<std::net::IpAddr>();
        !(host == "localhost" || numeric.is_ok_and(|address| address.is_loopback()))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerAddress {
    type Err = InvalidAddress;

    /// Takes an address; without a scheme it is `https`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAddress(text.chars().take(200).collect());
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = reqwest::Url::parse(&full).map_err(|_| invalid())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(invalid());
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_its_slash_and_gets_its_scheme() {
        let read = |text: &str| ServerAddress::from_str(text).unwrap().to_string();
        assert_eq!(read("https://rmm.example.com/"), "https://rmm.example.com");
        assert_eq!(read("rmm.example.com"), "https://rmm.example.com");
        assert_eq!(read("http://127.0.0.1:3001"), "http://127.0.0.1:3001");
        assert_eq!(read("https://example.com/rmm/"), "https://example.com/rmm");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "ftp://a",
            "https://",
            "https://a?b",
            "https://me:pw@a",
            "a b",
        ] {
            assert!(ServerAddress::from_str(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn clear_text_to_another_machine_is_recognised() {
        let in_clear = |text: &str| ServerAddress::from_str(text).unwrap().is_in_clear();
        assert!(in_clear("http://rmm.example.com"));
        assert!(!in_clear("https://rmm.example.com"));
        assert!(!in_clear("http://127.0.0.1:3001"));
        assert!(!in_clear("http://[::1]:3001"));
        assert!(!in_clear("http://localhost"));
    }

    #[test]
    fn the_web_socket_has_the_same_security() {
        let address = ServerAddress::from_str("https://a").unwrap();
        assert_eq!(address.web_socket(), "wss://a");
    }
}
