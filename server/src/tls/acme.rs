//! A certificate by ACME (RFC 8555): ordered, proven over the port itself (TLS-ALPN-01, RFC 8737), kept in the
//! data directory and renewed by the library.

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, RootCertStore};
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, AcmeState};

use super::TlsError;
use super::authority::make_folder;
use super::certificate::read;
use crate::config::Settings;

/// By which an authority asks for the proof.
pub const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// A certificate that is ordered.
pub struct Acme {
    state: AcmeState<std::io::Error, std::io::Error>,
}

impl Acme {
    /// Prepares the order; nothing is asked before it runs.
    ///
    /// # Errors
    /// [`TlsError`]: the folder or the authority's own certificate cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, TlsError> {
        let tls = &settings.tls;
        let names = tls.all_names(&settings.server.public_url);
        let folder = make_folder(&settings.data_dir)?.join("acme");
        let config = AcmeConfig::new_with_client_config(names, client(&tls.acme_ca)?);
        let contact = Some(&tls.acme_contact).filter(|contact| !contact.is_empty());
        let state = config
            .contact(contact.map(|contact| format!("mailto:{contact}")))
            .directory(&tls.acme_directory)
            .cache(DirCache::new(folder))
            .state();
        Ok(Self { state })
    }

    /// What serves the certificate, and the proof.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        self.state.resolver()
    }

    /// Orders and renews, and says in the log what happens; the library tries again by itself, later and later.
    pub async fn run(mut self: Box<Self>) {
        while let Some(event) = self.state.next().await {
            match event {
                Ok(event) => tracing::info!(?event, "certificate"),
                Err(error) => tracing::error!(
                    %error,
                    "no certificate yet: the authority must reach this server on port 443 of each name; it is tried again"
                ),
            }
        }
    }
}

/// How an ACME server is spoken to: trusted are the public authorities, or the one of a file alone.
fn client(private: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = if private.as_os_str().is_empty() {
        RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
    } else {
        private_authority(private)?
    };
    let config = ClientConfig::builder_with_provider(Arc::new(super::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Make(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn private_authority(path: &Path) -> Result<RootCertStore, TlsError> {
    let content = |why: String| TlsError::Content {
        path: path.display().to_string(),
        why,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
        let certificate = certificate.map_err(|error| content(format!("no PEM: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| content(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(content("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsMode;

    fn settings(data_dir: &Path) -> Settings {
        let mut settings = Settings {
            data_dir: data_dir.to_owned(),
            ..Settings::default()
        };
        settings.server.public_url = "https://rmm.example.com".to_owned();
        settings.tls.mode = TlsMode::Acme;
        settings
    }

    #[test]
    fn an_order_needs_nothing_but_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path());
        assert!(Acme::new(&settings).is_ok());
        settings.tls.acme_contact = "rmm@example.com".to_owned();
        assert!(Acme::new(&settings).is_ok());
    }

    #[test]
    fn an_acme_server_with_a_private_certificate_is_trusted_by_its_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path());
        let file = dir.path().join("ca.pem");
        settings.tls.acme_ca.clone_from(&file);
        let refused = |settings: &Settings| Acme::new(settings).err().unwrap().to_string();
        assert!(refused(&settings).contains("ca.pem"));
        std::fs::write(&file, "nothing").unwrap();
        assert!(refused(&settings).contains("no certificate"));
        let made = rcgen::generate_simple_self_signed(vec!["acme.internal".to_owned()]).unwrap();
        std::fs::write(&file, made.cert.pem()).unwrap();
        assert!(Acme::new(&settings).is_ok());
    }
}
