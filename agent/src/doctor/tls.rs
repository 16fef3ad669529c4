//! What is against the server's certificate, in words that say what to do.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};

use super::Finding;

/// A certificate that ends within so long is told.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// What the handshake has failed with.
pub(super) fn failure(error: &std::io::Error, has_ca_file: bool) -> Finding {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let Some(Error::InvalidCertificate(problem)) = cause else {
        return Finding::fail(
            "tls",
            format!("no encrypted connection: {error}"),
            "look whether the server speaks TLS at this port, or something on the way breaks into it",
        );
    };
    let trust = if has_ca_file {
        "put the certificate of the authority that signed it into server.ca_file"
    } else {
        "for a private authority set server.ca_file to its certificate (PEM); if something on the way breaks into TLS, have it let this server pass"
    };
    let (message, fix) = match problem {
        CertificateError::ExpiredContext { not_after, .. } => (
            format!("the server's certificate ended on {}", day(*not_after)),
            "renew it on the server; if that date is still to come, set this machine's clock",
        ),
        CertificateError::NotValidYetContext { not_before, .. } => (
            format!("the server's certificate begins on {}", day(*not_before)),
            "set this machine's clock; if it is right, the certificate is not",
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => (
            format!(
                "the server's certificate is not for {} but for {}",
                expected.to_str(),
                presented
                    .iter()
                    .map(|name| bare(name))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            "write into server.url the name that the certificate has, or get one with this name",
        ),
        // Another authority of the same name has signed it, or none that is known.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "the server's certificate is signed by nobody who is trusted here".to_owned(),
            trust,
        ),
        other => (
            format!("the server's certificate is refused: {other}"),
            "give the server a certificate that is right",
        ),
    };
    Finding::fail("tls", message, fix)
}

/// The certificates with which the handshake has gone well.
pub(super) fn success(
    certificates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    roots: RootCertStore,
) -> Finding {
    if let Some(not_after) = ends_soon(certificates, name, roots) {
        return Finding::warn(
            "tls",
            format!("the server's certificate ends on {}", day(not_after)),
            "renew it on the server",
        );
    }
    Finding::ok(
        "tls",
        "the server's certificate is good for two weeks at least",
    )
}

/// When a certificate ends that is good now and not any more in a while.
fn ends_soon(
    certificates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    roots: RootCertStore,
) -> Option<UnixTime> {
    let (own, others) = certificates.split_first()?;
    let verifier = WebPkiServerVerifier::builder(Arc::new(roots))
        .build()
        .ok()?;
    let then = UnixTime::since_unix_epoch(Duration::from_secs(
        UnixTime::now().as_secs() + SOON.as_secs(),
    ));
    match verifier.verify_server_cert(own, others, name, &[], then) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(not_after)
        }
        _ => None,
    }
}

/// A name as people write it, of one as `DnsName("example.com")`.
fn bare(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let time = DateTime::<Utc>::from_timestamp(seconds, 0);
    time.map_or_else(
        || "a day far off".to_owned(),
        |time| time.format("%Y-%m-%d").to_string(),
    )
}
