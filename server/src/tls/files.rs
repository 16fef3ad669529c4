//! A certificate from files: looked at again and again, and taken where it is whole and fits.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::Utc;

use super::TlsError;
use super::certificate::Certificate;
use super::slot::Slot;
use crate::listener::hang_ups;

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What tells that a file is another one.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Files {
    /// Those at two paths.
    #[must_use]
    pub fn new(certificate: &Path, key: &Path) -> Self {
        Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Reads both.
    ///
    /// # Errors
    /// [`TlsError`]: with the names of the files.
    pub fn read(&self) -> Result<Certificate, TlsError> {
        match Certificate::read(&self.certificate, &self.key) {
            Err(TlsError::Pair(why)) => Err(TlsError::Content {
                path: format!("{}, {}", self.certificate.display(), self.key.display()),
                why,
            }),
            other => other,
        }
    }

    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            // Behind a link, as ACME clients make them, too.
            let found = fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len()))
        })
    }

    /// Puts a new certificate into its place within `every` after its files changed, or at once on SIGHUP. One
    /// that does not fit or is not good today is told of, and the old one stays.
    pub(super) async fn watch(self, slot: &Slot, every: Duration) {
        let mut known = self.stamp();
        let mut hang_ups = hang_ups();
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(every) => false,
                () = hang_ups.next() => true,
            };
            let files = self.clone();
            // A disk that hangs must not hold up the server.
            let looked = tokio::task::spawn_blocking(move || {
                let stamp = files.stamp();
                (stamp, (asked || stamp != known).then(|| files.read()))
            });
            let Ok((stamp, Some(read))) = looked.await else {
                continue;
            };
            known = stamp;
            match read {
                Ok(certificate) if certificate.is_good(Utc::now()) => {
                    slot.put(&certificate);
                    tracing::info!(not_after = %certificate.not_after, "a new certificate is in use");
                }
                Ok(certificate) => tracing::error!(
                    not_before = %certificate.not_before,
                    not_after = %certificate.not_after,
                    "the new certificate is not good today; the old one stays in use"
                ),
                Err(error) => {
                    tracing::error!(%error, "the new certificate cannot be used; the old one stays in use");
                }
            }
        }
    }
}
