//! Whose certificates are believed: the machine's own authorities, and those of a file beside them.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::ClientError;

/// The TLS of all connections of a client.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Trusts what this machine trusts, and the authorities in `ca_file`.
    ///
    /// # Errors
    /// The file holds no certificate, or the machine has no authorities.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, ClientError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Fails only if it was installed before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let extra = ca_file.map(authorities).transpose()?.unwrap_or_default();
        let unusable = |error: rustls::Error| {
            ClientError::local(format!("cannot use the machine's certificates: {error}"))
        };
        let verifier = Verifier::new_with_extra_roots(extra, provider.clone()).map_err(unusable)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let unusable = |why: String| {
        ClientError::local(format!(
            "the certificates in {} cannot be used: {why}",
            file.display()
        ))
    };
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() {
        return Err(unusable("it holds none".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Trust::new(Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("cannot be used"), "{error}");
        assert!(Trust::new(Some(Path::new("/nowhere.pem"))).is_err());
    }
}
