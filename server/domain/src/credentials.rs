//! Keys and tokens: how they are made and the digest under which they are stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;
use sha2::{Digest, Sha256};

/// What every key of a site or an agent begins with.
pub const KEY_PREFIX: &str = "grmm_";

/// What every key of a user begins with.
pub const USER_KEY_PREFIX: &str = "grmu_";
/// What every registration token begins with.
pub const TOKEN_PREFIX: &str = "grmt_";

/// The longest credential that is looked at in bytes.
pub const MAX_BYTES: usize = 256;

/// Makes a key: `grmm_` and 256 random bits in base64url.
pub fn generate_key(rng: &mut impl RngCore) -> String {
    format!("{KEY_PREFIX}{}", generate_token(rng))
}

/// Makes a key of a user: `grmu_` and 256 random bits in base64url.
pub fn generate_user_key(rng: &mut impl RngCore) -> String {
    format!("{USER_KEY_PREFIX}{}", generate_token(rng))
}

/// Makes a registration token: `grmt_` and 256 random bits in base64url.
pub fn generate_registration_token(rng: &mut impl RngCore) -> String {
    format!("{TOKEN_PREFIX}{}", generate_token(rng))
}

/// Makes a token of 256 random bits in base64url.
pub fn generate_token(rng: &mut impl RngCore) -> String {
    let mut bytes = [0u8; 32];
    rng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256 of a credential. A fast digest is right here: these are 256 random bits, not passwords.
#[must_use]
pub fn digest(credential: &str) -> [u8; 32] {
    Sha256::digest(credential.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_begin_with_their_prefix_and_differ() {
        let (a, b) = (
            generate_key(&mut rand::rng()),
            generate_key(&mut rand::rng()),
        );
        assert!(a.starts_with(KEY_PREFIX) && a.len() == 48);
        assert_ne!(a, b);
        assert_ne!(digest(&a), digest(&b));
    }
}
