//! The tokens of log-ins: JWT with one algorithm, one audience and an end.

use chrono::{DateTime, Duration, SubsecRound, Utc};
use gururmm_shared::UserId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const ALGORITHM: Algorithm = Algorithm::HS256;
const AUDIENCE: &str = "gururmm-api";
const ISSUER: &str = "gururmm-server";

/// What a token says (RFC 7519).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: UserId,
    /// The user's token version when it was made; another version revokes it.
    pub ver: i64,
    aud: String,
    iss: String,
    iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    jti: Uuid,
}

/// Makes and reads tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    life: Duration,
}

/// A token and its end.
#[derive(Debug, Clone, Serialize)]
pub struct IssuedToken {
    /// The token.
    pub token: String,
    /// Its end.
    pub expires_at: DateTime<Utc>,
}

impl Tokens {
    /// Prepares keys; `secret` has at least 32 bytes.
    #[must_use]
    pub fn new(secret: &[u8], life: Duration) -> Self {
        let mut validation = Validation::new(ALGORITHM);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            life,
        }
    }

    /// Makes a token for a user at its present version.
    ///
    /// # Errors
    /// The library failed.
    pub fn issue(
        &self,
        user: UserId,
        version: i64,
        now: DateTime<Utc>,
    ) -> Result<IssuedToken, jsonwebtoken::errors::Error> {
        let expires_at = (now + self.life).trunc_subsecs(0);
        let claims = Claims {
            sub: user,
            ver: version,
            aud: AUDIENCE.to_owned(),
            iss: ISSUER.to_owned(),
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
            jti: Uuid::now_v7(),
        };
        let token = encode(&Header::new(ALGORITHM), &claims, &self.encoding)?;
        Ok(IssuedToken { token, expires_at })
    }

    /// Reads a token; none if anything about it is wrong.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<Claims> {
        decode::<Claims>(token, &self.decoding, &self.validation)
            .ok()
            .map(|data| data.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn tokens() -> Tokens {
        Tokens::new(SECRET, Duration::hours(24))
    }

    #[test]
    fn a_token_lives_24_hours() {
        let now = Utc::now();
        let issued = tokens().issue(UserId::generate(), 3, now).unwrap();
        let life = issued.expires_at - now;
        assert!(life > Duration::hours(24) - Duration::seconds(2) && life <= Duration::hours(24));
        assert_eq!(tokens().read(&issued.token).unwrap().ver, 3);
    }

    #[test]
    fn an_expired_token_is_refused_at_once() {
        let past = Utc::now() - Duration::hours(24) - Duration::seconds(1);
        let issued = tokens().issue(UserId::generate(), 1, past).unwrap();
        assert!(tokens().read(&issued.token).is_none());
    }

    #[test]
    fn another_key_algorithm_or_audience_is_refused() {
        let issued = tokens().issue(UserId::generate(), 1, Utc::now()).unwrap();
        let other = Tokens::new(b"another-key-another-key-another-", Duration::hours(1));
        assert!(other.read(&issued.token).is_none());
        let mut claims = tokens().read(&issued.token).unwrap();
        let key = EncodingKey::from_secret(SECRET);
        let wrong = encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap();
        assert!(tokens().read(&wrong).is_none());
        claims.aud = "somebody-else".into();
        let wrong = encode(&Header::new(ALGORITHM), &claims, &key).unwrap();
        assert!(tokens().read(&wrong).is_none());
    }

    #[test]
    fn a_token_without_signature_is_refused() {
        let issued = tokens().issue(UserId::generate(), 1, Utc::now()).unwrap();
        let payload = issued.token.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        let forged = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        assert!(tokens().read(&forged).is_none());
    }
}
