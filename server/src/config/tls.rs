//! Encryption: where the certificate comes from, and for which names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Encryption of the port.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// Who encrypts, and with which certificate.
    pub mode: TlsMode,
    /// With `file`: the certificate and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// With `file`: its private key, PEM.
    pub key: PathBuf,
    /// With `file`, where the authority is a private one: its certificate, PEM, which agents are given.
    pub ca: PathBuf,
    /// Names and addresses of this server beside the one of `server.public_url`.
    pub names: Vec<String>,
    /// How often the files are looked at for a change; SIGHUP looks at once.
    pub reload_seconds: u32,
    /// A second port, without encryption, that sends browsers to the encrypted one.
    pub redirect_listen: Option<SocketAddr>,
    /// With `acme`: the directory of the authority.
    pub acme_directory: String,
    /// With `acme`: an e-mail address that the authority may write to; empty for none.
    pub acme_contact: String,
    /// With `acme`, where the authority's own server has a private certificate: who signed that, PEM.
    pub acme_ca: PathBuf,
}

/// Who encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// A proxy in front of the server, or nobody.
    Proxy,
    /// The server, with a certificate from files.
    File,
    /// The server, with a certificate of an authority of its own, which agents pin.
    SelfSigned,
    /// The server, with a certificate that it gets and renews by ACME.
    Acme,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            mode: TlsMode::Proxy,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            ca: PathBuf::new(),
            names: Vec::new(),
            reload_seconds: 30,
            redirect_listen: None,
            acme_directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
            acme_contact: String::new(),
            acme_ca: PathBuf::new(),
        }
    }
}

impl TlsSettings {
    /// Whether the server itself encrypts.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.mode != TlsMode::Proxy
    }

    /// The names that a certificate is made for: that of the public URL first, each once.
    #[must_use]
    pub fn all_names(&self, public_url: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let own = host(public_url).into_iter();
        for name in own.chain(self.names.iter().map(String::as_str)) {
            let name = name.trim().to_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The first key that does not fit the mode, and what to do.
    pub fn check(&self, public_url: &str) -> Result<(), String> {
        if self.names.len() > 100 {
            return Err("tls.names holds more than 100 names; leave some out".to_owned());
        }
        for name in &self.names {
            if !is_name(name.trim()) {
                return Err(format!(
                    "tls.names: {name:?} is neither a name nor an address; write rmm.example.com or 192.0.2.7"
                ));
            }
        }
        if self.is_own() && public_url.starts_with("http://") {
            return Err(
                "server.public_url says http while tls.mode encrypts; write it as https://…"
                    .to_owned(),
            );
        }
        if self.redirect_listen.is_some() && !self.is_own() {
            return Err(
                "tls.redirect_listen needs a tls.mode other than proxy; let the proxy redirect"
                    .to_owned(),
            );
        }
        match self.mode {
            TlsMode::Proxy | TlsMode::SelfSigned => Ok(()),
            TlsMode::File => {
                for (key, path) in [
                    ("tls.certificate", &self.certificate),
                    ("tls.key", &self.key),
                ] {
                    if path.as_os_str().is_empty() {
                        return Err(format!("{key} must name a PEM file where tls.mode = file"));
                    }
                }
                Ok(())
            }
            TlsMode::Acme => self.check_acme(public_url),
        }
    }

    fn check_acme(&self, public_url: &str) -> Result<(), String> {
        let names = self.all_names(public_url);
        if names.is_empty() {
            return Err(
                "tls.mode = acme needs a name: set server.public_url or tls.names".to_owned(),
            );
        }
        if let Some(address) = names.iter().find(|name| name.parse::<IpAddr>().is_ok()) {
            return Err(format!(
                "tls.mode = acme is for names, and {address} is an address; take tls.mode = self-signed for it"
            ));
        }
        if !self.acme_directory.starts_with("https://") {
            return Err("tls.acme_directory must begin with https://".to_owned());
        }
        if !self.acme_contact.is_empty() && !self.acme_contact.contains('@') {
            return Err(format!(
                "tls.acme_contact: {:?} is no e-mail address",
                self.acme_contact
            ));
        }
        Ok(())
    }
}

/// The host of an origin, without scheme, port and brackets.
#[must_use]
pub fn host(origin: &str) -> Option<&str> {
    let (_, rest) = origin.split_once("://")?;
    let host = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => rest.split_once(':').map_or(rest, |(host, _)| host),
    };
    (!host.is_empty()).then_some(host)
}

/// Whether a text can stand in a certificate as a name or an address.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '*' || c == '_';
        !label.is_empty() && label.len() <= 63 && label.chars().all(good)
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mode: TlsMode) -> TlsSettings {
        TlsSettings {
            mode,
            ..TlsSettings::default()
        }
    }

    #[test]
    fn the_host_of_an_origin_is_found() {
        for (origin, expected) in [
            ("https://rmm.example.com", Some("rmm.example.com")),
            ("https://rmm.example.com:8443", Some("rmm.example.com")),
            ("https://[2001:db8::1]:8443", Some("2001:db8::1")),
            ("https://192.0.2.7", Some("192.0.2.7")),
            ("", None),
        ] {
            assert_eq!(host(origin), expected, "{origin}");
        }
    }

    #[test]
    fn names_are_those_of_the_url_and_the_list_each_once() {
        let mut tls = settings(TlsMode::SelfSigned);
        tls.names = vec!["RMM.example.com".into(), "192.0.2.7".into()];
        let names = tls.all_names("https://rmm.example.com:8443");
        assert_eq!(names, ["rmm.example.com", "192.0.2.7"]);
    }

    #[test]
    fn what_a_mode_needs_is_asked_for_by_its_key() {
        let error = settings(TlsMode::File).check("").unwrap_err();
        assert!(error.contains("tls.certificate"), "{error}");
        let error = settings(TlsMode::Acme).check("").unwrap_err();
        assert!(error.contains("server.public_url"), "{error}");
        let error = settings(TlsMode::Acme)
            .check("https://192.0.2.7")
            .unwrap_err();
        assert!(error.contains("self-signed"), "{error}");
        let error = settings(TlsMode::SelfSigned)
            .check("http://rmm.example.com")
            .unwrap_err();
        assert!(error.contains("server.public_url"), "{error}");
        let mut tls = settings(TlsMode::Proxy);
        tls.redirect_listen = Some(SocketAddr::from(([0, 0, 0, 0], 80)));
        assert!(tls.check("").unwrap_err().contains("tls.redirect_listen"));
        let mut tls = settings(TlsMode::SelfSigned);
        tls.names = vec!["a b".into()];
        assert!(tls.check("").unwrap_err().contains("tls.names"));
        assert_eq!(
            settings(TlsMode::Acme).check("https://rmm.example.com"),
            Ok(())
        );
    }
}
