//! JSON Web Tokens as an attacker would forge them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;

/// The claims of a token, unverified.
///
/// # Panics
/// When it is no token.
#[must_use]
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a token, unverified.
///
/// # Panics
/// When it is no token.
#[must_use]
pub fn header(token: &str) -> Value {
    part(token, 0)
}

/// A token with these claims, signed with `key`.
///
/// # Panics
/// Never with claims that are an object.
#[must_use]
pub fn signed(algorithm: Algorithm, claims: &Value, key: &[u8]) -> String {
    let header = Header::new(algorithm);
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(key)).expect("claims are JSON")
}

/// A token with these claims that says it needs no signature.
#[must_use]
pub fn unsigned(claims: &Value) -> String {
    let header = encode(&serde_json::json!({"alg": "none", "typ": "JWT"}));
    format!("{header}.{}.", encode(claims))
}

/// The token with other claims and its old signature.
///
/// # Panics
/// When it is no token.
#[must_use]
pub fn tampered(token: &str, claims: &Value) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], encode(claims), parts[2])
}

fn part(token: &str, index: usize) -> Value {
    let part = token
        .split('.')
        .nth(index)
        .expect("a token has three parts");
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
