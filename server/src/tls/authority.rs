//! An authority of the server's own: made once, kept in the data directory, and known to agents, which trust
//! nobody else. The server's certificate is made by it at each start and lives in memory alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use super::TlsError;
use super::certificate::{Certificate, read};
use super::slot::Slot;
use crate::config::Settings;
use crate::services::secret_file;

/// Days that the authority is good for.
const AUTHORITY_DAYS: i64 = 20 * 365;
/// Days that a certificate is good for.
const CERTIFICATE_DAYS: i64 = 90;
/// Days before its end at which the next certificate is made.
const RENEW_DAYS: i64 = 30;
/// How often the end is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// What everybody may know of a private authority.
#[derive(Debug, Clone)]
pub struct PublicCa {
    /// Its certificate.
    pub pem: String,
    /// SHA-256 of the certificate (of its DER form) in lower-case hexadecimal digits.
    pub sha256: String,
}

impl PublicCa {
    /// Reads one from a PEM file.
    ///
    /// # Errors
    /// [`TlsError`]: the file cannot be read or holds no certificate.
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        let content = |why: &str| TlsError::Content {
            path: path.display().to_string(),
            why: why.to_owned(),
        };
        let bytes = read(path)?;
        let pem = String::from_utf8(bytes).map_err(|_| content("it is no PEM"))?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| content("it holds no certificate"))?;
        // It is given to everybody: a key beside the certificate would go out with it.
        if pem.contains("PRIVATE KEY") {
            return Err(content(
                "it holds a private key, which must not be given to agents; leave only certificates in it",
            ));
        }
        let digest = Sha256::digest(&der);
        let sha256 = digest.iter().fold(String::new(), |mut text, byte| {
            use std::fmt::Write;
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self { pem, sha256 })
    }
}

/// An authority that can make certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
    names: Vec<String>,
}

/// The folder of everything about certificates in a data directory.
#[must_use]
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("tls")
}

/// Makes that folder for the server's user alone.
pub(super) fn make_folder(data_dir: &Path) -> Result<PathBuf, TlsError> {
    let folder = folder(data_dir);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&folder)
        .map_err(|error| TlsError::file(&folder, error))?;
    Ok(folder)
}

impl Authority {
    /// Opens the one of a data directory; it is made where there is none.
    ///
    /// # Errors
    /// [`TlsError`]: a file cannot be used, or one of both is missing.
    pub fn open(settings: &Settings) -> Result<Self, TlsError> {
        let folder = make_folder(&settings.data_dir)?;
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
        if !certificate.exists() {
            if key.exists() {
                return Err(TlsError::Content {
                    path: certificate.display().to_string(),
                    why: "it is missing beside ca-key.pem; bring it back from a backup, or remove the key to \
                          have another authority made, which agents must then be told"
                        .to_owned(),
                });
            }
            make(&certificate, &key)?;
        }
        let text = secret_file::read_or_create(&key, String::new)
            .map_err(|error| TlsError::file(&key, error))?;
        let unusable = |path: &Path, error: rcgen::Error| TlsError::Content {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        let pair = KeyPair::from_pem(&text).map_err(|error| unusable(&key, error))?;
        let pem = String::from_utf8_lossy(&read(&certificate)?).into_owned();
        // Holds them against each other, so that no certificate is made that nobody can verify.
        let private = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|error| TlsError::Pair(error.to_string()))?;
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Pair(error.to_string()))?;
        let own = Certificate::new(chain, private).map_err(|error| TlsError::Content {
            path: certificate.display().to_string(),
            why: error.to_string(),
        })?;
        own.warn_of_dates();
        let issuer =
            Issuer::from_ca_cert_pem(&pem, pair).map_err(|error| unusable(&certificate, error))?;
        Ok(Self {
            issuer,
            certificate,
            names: names(settings),
        })
    }

    /// What agents may know of it.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn public(&self) -> Result<PublicCa, TlsError> {
        PublicCa::read(&self.certificate)
    }

    /// Makes a certificate for the server's names.
    ///
    /// # Errors
    /// [`TlsError::Make`].
    pub fn issue(&self) -> Result<Certificate, TlsError> {
        let unmade = |error: rcgen::Error| TlsError::Make(error.to_string());
        let mut params = CertificateParams::new(self.names.clone()).map_err(unmade)?;
        params.distinguished_name = named(self.names.first().map_or("gururmm", String::as_str));
        (params.not_before, params.not_after) = dates(CERTIFICATE_DAYS)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(unmade)?;
        let made = params.signed_by(&key, &self.issuer).map_err(unmade)?;
        let private = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| TlsError::Make(error.to_owned()))?;
        Certificate::new(vec![made.der().clone()], private)
    }

    /// Makes the next certificate in time, again and again.
    pub(super) async fn renew(self: Box<Self>, slot: &Slot) {
        let mut renewed = Utc::now();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !is_due(renewed, Utc::now()) {
                continue;
            }
            match self.issue() {
                Ok(certificate) => {
                    renewed = Utc::now();
                    slot.put(&certificate);
                    tracing::info!(not_after = %certificate.not_after, "a new certificate is in use");
                }
                Err(error) => {
                    tracing::error!(%error, "no new certificate; the old one stays in use")
                }
            }
        }
    }
}

/// Whether the next certificate is due; a clock that jumped back makes it so, too.
fn is_due(renewed: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let age = now - renewed;
    age >= chrono::Duration::days(CERTIFICATE_DAYS - RENEW_DAYS) || age < chrono::Duration::zero()
}

/// The names of the settings, and those by which the machine itself reaches the server.
fn names(settings: &Settings) -> Vec<String> {
    let mut names = settings.tls.all_names(&settings.server.public_url);
    let listen = settings.listen.ip();
    let bound = (!listen.is_unspecified()).then(|| listen.to_string());
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    for name in bound.into_iter().chain(own) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// From a day ago, for clocks that are slow, to so many days from now.
fn dates(
    days: i64,
) -> Result<
    (
        actix_web::cookie::time::OffsetDateTime,
        actix_web::cookie::time::OffsetDateTime,
    ),
    TlsError,
> {
    let at = |at: DateTime<Utc>| {
        actix_web::cookie::time::OffsetDateTime::from_unix_timestamp(at.timestamp())
            .map_err(|error| TlsError::Make(format!("the clock is wrong: {error}")))
    };
    let now = Utc::now();
    let day = chrono::Duration::days;
    Ok((at(now - day(1))?, at(now + day(days))?))
}

/// Makes an authority. The key first: a certificate is never there without its key.
fn make(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let unmade = |error: rcgen::Error| TlsError::Make(error.to_string());
    let pair = KeyPair::generate().map_err(unmade)?;
    let mut params = CertificateParams::default();
    let digits = uuid::Uuid::new_v4().simple().to_string();
    let own = format!("GuruRMM {}", digits.get(..8).unwrap_or_default());
    params.distinguished_name = named(&own);
    (params.not_before, params.not_after) = dates(AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let made = params.self_signed(&pair).map_err(unmade)?;
    for (path, text) in [(key, pair.serialize_pem()), (certificate, made.pem())] {
        secret_file::write_new(path, &text).map_err(|error| TlsError::file(path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(data_dir: &Path) -> Settings {
        let mut settings = Settings {
            data_dir: data_dir.to_owned(),
            ..Settings::default()
        };
        settings.server.public_url = "https://rmm.example.com".to_owned();
        settings.tls.names = vec!["192.0.2.7".to_owned()];
        settings
    }

    #[test]
    fn the_authority_is_made_once_and_its_certificates_are_for_all_names() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let first = Authority::open(&settings).unwrap();
        let again = Authority::open(&settings).unwrap();
        let (one, two) = (first.public().unwrap(), again.public().unwrap());
        assert_eq!(one.sha256, two.sha256);
        assert_eq!(one.sha256.len(), 64);
        let certificate = again.issue().unwrap();
        for name in ["rmm.example.com", "192.0.2.7", "localhost", "127.0.0.1"] {
            assert!(
                certificate.names.iter().any(|has| has == name),
                "{:?}",
                certificate.names
            );
        }
        let left = certificate.days_left(Utc::now());
        assert!((CERTIFICATE_DAYS - 1..=CERTIFICATE_DAYS).contains(&left));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_authoritys_key() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        Authority::open(&settings(dir.path())).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder(dir.path())), 0o700);
        assert_eq!(mode(&folder(dir.path()).join("ca-key.pem")), 0o600);
    }

    #[test]
    fn half_an_authority_is_refused_and_never_made_anew_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        Authority::open(&settings).unwrap();
        let other = tempfile::tempdir().unwrap();
        let mut others = settings.clone();
        others.data_dir = other.path().to_owned();
        Authority::open(&others).unwrap();
        let ca = |dir: &Path| folder(dir).join("ca.pem");
        fs::copy(ca(other.path()), ca(dir.path())).unwrap();
        let error = Authority::open(&settings).err().unwrap().to_string();
        assert!(error.contains("do not fit"), "{error}");
        fs::remove_file(ca(dir.path())).unwrap();
        let error = Authority::open(&settings).err().unwrap().to_string();
        assert!(error.contains("backup"), "{error}");
    }

    #[test]
    fn the_next_certificate_is_due_30_days_before_the_end_of_the_last() {
        let made = Utc::now();
        let after = |days: i64| made + chrono::Duration::days(days);
        assert!(!is_due(made, made) && !is_due(made, after(59)));
        assert!(is_due(made, after(60)) && is_due(made, after(-1)));
    }

    #[test]
    fn a_private_key_is_never_given_out_as_an_authority() {
        let dir = tempfile::tempdir().unwrap();
        Authority::open(&settings(dir.path())).unwrap();
        let read = |name| fs::read_to_string(folder(dir.path()).join(name)).unwrap();
        let both = dir.path().join("both.pem");
        fs::write(&both, read("ca.pem") + &read("ca-key.pem")).unwrap();
        let error = PublicCa::read(&both).unwrap_err().to_string();
        assert!(error.contains("private key"), "{error}");
    }
}
