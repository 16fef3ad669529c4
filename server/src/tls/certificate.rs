//! A certificate with its key: read from PEM, and held against each other and the clock.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsError;

/// Bytes of a PEM file at most.
const MOST_BYTES: u64 = 1 << 20;
/// Days before its end from which on a certificate is warned of.
pub const SOON_DAYS: i64 = 14;

/// A certificate that can be served.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The chain and the key that fits it.
    pub key: Arc<CertifiedKey>,
    /// From when on it is good.
    pub not_before: DateTime<Utc>,
    /// Until when it is good.
    pub not_after: DateTime<Utc>,
    /// The names and addresses it is for.
    pub names: Vec<String>,
}

impl Certificate {
    /// Reads both from PEM texts.
    ///
    /// # Errors
    /// [`TlsError::Pair`]: one is missing or cannot be read, or they do not fit.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let bad = |why: String| TlsError::Pair(why);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| bad(format!("the certificate is no PEM: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| bad(format!("the key is no PEM: {error}")))?;
        Self::new(chain, key)
    }

    /// Holds a chain, the server's own first, and a key against each other.
    ///
    /// # Errors
    /// [`TlsError::Pair`]: the chain is empty or cannot be read, or the key is another's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let first = chain
            .first()
            .ok_or_else(|| TlsError::Pair("the certificate's file holds no certificate".into()))?;
        let (_, parsed) = X509Certificate::from_der(first)
            .map_err(|error| TlsError::Pair(format!("the certificate cannot be read: {error}")))?;
        let time = |at: x509_parser::time::ASN1Time| {
            DateTime::from_timestamp(at.timestamp(), 0).unwrap_or_default()
        };
        let validity = parsed.validity();
        let (not_before, not_after) = (time(validity.not_before), time(validity.not_after));
        let names = names(&parsed);
        let key = CertifiedKey::from_der(chain, key, &super::provider())
            .map_err(|error| TlsError::Pair(format!("certificate and key do not fit: {error}")))?;
        Ok(Self {
            key: Arc::new(key),
            not_before,
            not_after,
            names,
        })
    }

    /// Reads both from PEM files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(certificate)?, &read(key)?)
    }

    /// Whole days until its end; negative where it has ended.
    #[must_use]
    pub fn days_left(&self, now: DateTime<Utc>) -> i64 {
        (self.not_after - now).num_seconds().div_euclid(86_400)
    }

    /// Whether it may be served now.
    #[must_use]
    pub fn is_good(&self, now: DateTime<Utc>) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Says in the log where the end is near, past, or the beginning has not come yet.
    pub fn warn_of_dates(&self) {
        let now = Utc::now();
        if !self.is_good(now) {
            tracing::error!(
                not_before = %self.not_before,
                not_after = %self.not_after,
                "the certificate is not good today, so clients refuse it; renew it, or set the clock"
            );
        } else if self.days_left(now) < SOON_DAYS {
            tracing::warn!(
                not_after = %self.not_after,
                "the certificate ends soon; renew it"
            );
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(found)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    found.value.general_names.iter().filter_map(name).collect()
}

/// Reads a PEM file of at most 1 MiB.
///
/// # Errors
/// [`TlsError::File`].
pub fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes))
        .map_err(|error| TlsError::file(path, error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![
            "rmm.example.com".to_owned(),
            "192.0.2.7".to_owned(),
            "2001:db8::7".to_owned(),
        ])
        .unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_tells_its_names_and_its_dates() {
        let (certificate, key) = made();
        let read = Certificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.names, ["rmm.example.com", "192.0.2.7", "2001:db8::7"]);
        let now = Utc::now();
        assert!(read.is_good(now) && read.days_left(now) > 1000);
        assert!(!read.is_good(read.not_after + chrono::Duration::seconds(1)));
        assert_eq!(read.days_left(read.not_after), 0);
        assert_eq!(
            read.days_left(read.not_after + chrono::Duration::seconds(1)),
            -1
        );
    }

    #[test]
    fn a_pair_that_does_not_fit_is_refused_in_words() {
        let (certificate, key) = made();
        let (_, other) = made();
        for (certificate, key, word) in [
            (certificate.as_str(), other.as_str(), "do not fit"),
            ("", key.as_str(), "no certificate"),
            (certificate.as_str(), "", "key is no PEM"),
            (key.as_str(), key.as_str(), "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                key.as_str(),
                "cannot be read",
            ),
        ] {
            let error = Certificate::from_pem(certificate.as_bytes(), key.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
