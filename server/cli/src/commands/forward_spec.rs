//! `[ADDRESS:]PORT:HOST:PORT`, as ssh's -L has it.

use std::str::FromStr;

/// Where to listen here, and where to connect there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForwardSpec {
    /// The address to listen on.
    pub listen: String,
    /// The port to listen on; 0 for any.
    pub listen_port: u16,
    /// The host, as the agent's machine sees it.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for ForwardSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || {
            format!(
                "{text:?} is no forward; write it as 8080:127.0.0.1:80 or 127.0.0.1:8080:[::1]:80"
            )
        };
        let parts = split(text).ok_or_else(invalid)?;
        let (listen, rest) = match parts.as_slice() {
            [listen, rest @ ..] if rest.len() == 3 => (listen.as_str(), rest),
            rest => ("127.0.0.1", rest),
        };
        let [listen_port, host, port] = rest else {
            return Err(invalid());
        };
        let listen = if listen == "*" { "::" } else { listen };
        let spec = Self {
            listen: listen.to_owned(),
            listen_port: listen_port.parse().map_err(|_| invalid())?,
            host: host.clone(),
            port: port.parse().map_err(|_| invalid())?,
        };
        if spec.host.is_empty() || spec.listen.is_empty() || spec.port == 0 {
            return Err(invalid());
        }
        Ok(spec)
    }
}

/// Splits at colons that stand in no brackets.
fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut within = false;
    for c in text.chars() {
        match c {
            '[' if !within => within = true,
            ']' if within => within = false,
            ':' if !within => parts.push(String::new()),
            other => parts.last_mut()?.push(other),
        }
    }
    (!within).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, u16, String, u16) {
        let spec: ForwardSpec = text.parse().unwrap();
        (spec.listen, spec.listen_port, spec.host, spec.port)
    }

    #[test]
    fn a_forward_listens_on_the_loopback_unless_told() {
        let own = |listen: &str, a, host: &str, b| (listen.to_owned(), a, host.to_owned(), b);
        assert_eq!(
            read("8080:127.0.0.1:80"),
            own("127.0.0.1", 8080, "127.0.0.1", 80)
        );
        assert_eq!(
            read("0:db.example.com:5432"),
            own("127.0.0.1", 0, "db.example.com", 5432)
        );
        assert_eq!(
            read("0.0.0.0:8080:host:80"),
            own("0.0.0.0", 8080, "host", 80)
        );
        assert_eq!(
            read("[::1]:8080:[fe80::1]:80"),
            own("::1", 8080, "fe80::1", 80)
        );
        assert_eq!(read("*:8080:host:80"), own("::", 8080, "host", 80));
    }

    #[test]
    fn what_is_no_forward_is_refused_with_an_example() {
        for bad in [
            "",
            "80",
            "80:host",
            "x:host:80",
            "80:host:0",
            "80::80",
            "80:[::1:80",
            "1:2:3:4:5",
            "70000:h:1",
        ] {
            let error = bad.parse::<ForwardSpec>().unwrap_err();
            assert!(error.contains("8080:127.0.0.1:80"), "{bad:?}");
        }
    }
}
