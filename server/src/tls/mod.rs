//! Encryption of the port: where the certificate comes from, and how a new one takes the place of the old one
//! without a restart. Knows nothing of HTTP.

mod acme;
pub mod authority;
pub mod certificate;
pub mod files;
mod slot;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;

use self::acme::Acme;
use self::authority::{Authority, PublicCa};
use self::certificate::Certificate;
use self::files::Files;
use self::slot::Slot;
use crate::config::{Settings, TlsMode};

/// Why there is no encryption.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or kept.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds what does not belong there.
    #[error("{path}: {why}")]
    Content {
        /// The file.
        path: String,
        /// What, and the way out.
        why: String,
    },
    /// Certificate and key do not fit.
    #[error("{0}")]
    Pair(String),
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(String),
}

impl TlsError {
    fn file(path: &Path, source: std::io::Error) -> Self {
        let path = path.display().to_string();
        Self::File { path, source }
    }
}

/// What renews the certificate.
enum Source {
    Files(Files),
    Authority(Box<Authority>),
    Acme(Box<Acme>),
}

/// A port's encryption.
pub struct Encryption {
    slot: Arc<Slot>,
    source: Source,
    /// What clients are given to pin, where the authority is a private one.
    pub ca: Option<PublicCa>,
}

impl Encryption {
    /// Reads, makes or orders the certificate; nothing where a proxy encrypts.
    ///
    /// # Errors
    /// [`TlsError`]: there is none to begin with.
    pub fn open(settings: &Settings) -> Result<Option<Self>, TlsError> {
        let tls = &settings.tls;
        let slot = Arc::new(Slot::default());
        let (source, ca) = match tls.mode {
            TlsMode::Proxy => return Ok(None),
            TlsMode::File => {
                let files = Files::new(&tls.certificate, &tls.key);
                let certificate = files.read()?;
                certificate.warn_of_dates();
                slot.put(&certificate);
                let ca = match tls.ca.as_os_str().is_empty() {
                    true => None,
                    false => Some(PublicCa::read(&tls.ca)?),
                };
                (Source::Files(files), ca)
            }
            TlsMode::SelfSigned => {
                let authority = Authority::open(settings)?;
                slot.put(&authority.issue()?);
                let ca = authority.public()?;
                (Source::Authority(Box::new(authority)), Some(ca))
            }
            TlsMode::Acme => (Source::Acme(Box::new(Acme::new(settings)?)), None),
        };
        if let Some(ca) = &ca {
            tracing::info!(
                sha256 = ca.sha256,
                "agents may pin this server's authority: GET /api/install/ca.pem"
            );
        }
        Ok(Some(Self { slot, source, ca }))
    }

    /// What the port needs; the certificate in it changes by itself.
    ///
    /// # Errors
    /// The protocol's versions cannot be set.
    pub fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = match &self.source {
            Source::Acme(acme) => acme.resolver(),
            Source::Files(_) | Source::Authority(_) => self.slot.clone(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Make(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        if matches!(self.source, Source::Acme(_)) {
            config.alpn_protocols = vec![acme::CHALLENGE_PROTOCOL.to_vec()];
        }
        Ok(config)
    }

    /// Keeps the certificate fresh for as long as the server runs.
    pub async fn keep(self, reload: Duration) {
        match self.source {
            Source::Files(files) => files.watch(&self.slot, reload).await,
            Source::Authority(authority) => authority.renew(&self.slot).await,
            Source::Acme(acme) => acme.run().await,
        }
    }
}

/// The provider of all cryptography, for keys that are read.
fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// Tells Prometheus when the certificate in use ends.
fn tell_end(certificate: &Certificate) {
    #[allow(clippy::cast_precision_loss, reason = "a figure")]
    let end = certificate.not_after.timestamp() as f64;
    metrics::gauge!("gururmm_tls_not_after_seconds").set(end);
}
