//! The public keys that are built into this program.

use minisign_verify::{PublicKey, Signature};

/// Base64, as in the second line of a minisign `.pub` file.
const BUILT_IN: &[&str] = include!(concat!(env!("OUT_DIR"), "/keys.rs"));

/// Keys whose signatures are good.
#[derive(Debug, Clone)]
pub struct TrustedKeys(pub(crate) Vec<PublicKey>);

/// Why a signature is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// A build without keys takes nothing.
    #[error(
        "this build knows no release key and installs nothing; build it with GURURMM_RELEASE_KEYS"
    )]
    NoKeys,
    /// The text is no signature at all.
    #[error("the signature is malformed; sign the manifest with gururmm-server release sign")]
    Malformed,
    /// It is none of these keys', or of another text.
    #[error("the signature is not of a release key that this build trusts")]
    Wrong,
}

impl TrustedKeys {
    /// Those that are built in.
    #[must_use]
    pub fn built_in() -> Self {
        Self(
            BUILT_IN
                .iter()
                .filter_map(|key| PublicKey::from_base64(key).ok())
                .collect(),
        )
    }

    /// The given ones, base64 as in a `.pub` file.
    ///
    /// # Errors
    /// The key that is none.
    pub fn of(keys: &[&str]) -> Result<Self, String> {
        let parsed = keys
            .iter()
            .map(|key| PublicKey::from_base64(key).map_err(|_| (*key).to_owned()));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// The built-in keys in base64, for an installer that has to check a signature by other means.
    #[must_use]
    pub fn built_in_base64() -> &'static [&'static str] {
        BUILT_IN
    }

    /// Whether `signature`, the text of a `.minisig` file, is one of these keys' and of exactly these bytes.
    ///
    /// # Errors
    /// See [`Untrusted`].
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), Untrusted> {
        if self.0.is_empty() {
            return Err(Untrusted::NoKeys);
        }
        let signature = Signature::decode(signature).map_err(|_| Untrusted::Malformed)?;
        // Not the older form, which is not hashed before: two forms are twice as much to go wrong.
        let good = |key: &PublicKey| key.verify(bytes, &signature, false).is_ok();
        if self.0.iter().any(good) {
            Ok(())
        } else {
            Err(Untrusted::Wrong)
        }
    }
}
