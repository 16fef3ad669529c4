//! The place of the certificate in use: connections take what lies there when they begin.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// Holds one certificate; those who come before the first are turned away.
#[derive(Debug, Default)]
pub struct Slot(RwLock<Option<Arc<CertifiedKey>>>);

impl Slot {
    /// Puts a certificate in the place of the one before; connections that are open keep theirs.
    pub fn put(&self, certificate: &Certificate) {
        super::tell_end(certificate);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate.key.clone());
    }
}

impl ResolvesServerCert for Slot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
