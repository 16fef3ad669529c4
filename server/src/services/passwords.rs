//! Passwords: Argon2id, off the worker threads and only a few at once.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Why a password could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many at once, for too long.
    #[error("too many passwords are being checked; try again in a moment")]
    Busy,
    /// The library failed.
    #[error("password hashing failed: {0}")]
    Failed(String),
}

/// Hashes and verifies. Argon2id with the library's parameters (19 MiB, 2 passes, 1 lane: the
/// first choice of OWASP's cheat sheet).
#[derive(Clone)]
pub struct Passwords {
    /// Each hash takes 19 MiB and tens of milliseconds of a core: a flood of log-ins must not
    /// take all of either.
    turns: Arc<Semaphore>,
    /// What an unknown user's password is compared with, so that it takes as long.
    decoy: Arc<String>,
}

const AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(10);

impl Passwords {
    /// Prepares the decoy.
    ///
    /// # Errors
    /// [`PasswordError::Failed`]: the library failed.
    pub fn new() -> Result<Self, PasswordError> {
        let decoy = hash_now("no account has this password")?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            decoy: Arc::new(decoy),
        })
    }

    /// Hashes a password into PHC form.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(move || hash_now(&password)).await?
    }

    /// Tells whether it is the password; without a hash it takes as long and says no.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.as_ref().clone());
        let matches = self
            .run(move || {
                PasswordHash::new(&hash).is_ok_and(|parsed| {
                    Argon2::default()
                        .verify_password(password.as_bytes(), &parsed)
                        .is_ok()
                })
            })
            .await?;
        Ok(known && matches)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned());
        let turn = turn
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(PasswordError::Busy)?;
        let work = move || {
            let result = work();
            drop(turn);
            result
        };
        actix_web::rt::task::spawn_blocking(work)
            .await
            .map_err(|error| PasswordError::Failed(error.to_string()))
    }
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| PasswordError::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(
            passwords
                .verify("correct horse".into(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("battery staple".into(), Some(hash))
                .await
                .unwrap()
        );
    }

    #[actix_web::test]
    async fn an_unknown_user_costs_a_real_verification_and_is_refused() {
        let passwords = Passwords::new().unwrap();
        let decoys = "no account has this password";
        assert!(!passwords.verify(decoys.into(), None).await.unwrap());
        // The decoy is a full hash with the parameters of every other.
        assert!(PasswordHash::new(&passwords.decoy).is_ok());
        assert!(
            passwords
                .verify(decoys.into(), Some(passwords.decoy.to_string()))
                .await
                .unwrap()
        );
    }
}
