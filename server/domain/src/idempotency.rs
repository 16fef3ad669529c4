//! `Idempotency-Key`: a request that is sent again does nothing again
//! (draft-ietf-httpapi-idempotency-key-header-07).

use chrono::{DateTime, Duration, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The longest key in characters.
pub const KEY_CHARS: usize = 255;
/// How long a key is remembered.
pub const KEPT: Duration = Duration::hours(24);
/// No request takes so long: what is in hand for longer was given up.
pub const IN_HAND: Duration = Duration::minutes(10);
/// The largest answer that is kept in bytes.
pub const BODY_BYTES: usize = 64 * 1024;

/// The id that a request under a key gives to what it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject(pub Uuid);

/// One run of the server, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run(pub Uuid);

/// What was asked for, as a digest.
pub type Fingerprint = [u8; 32];

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What was asked for.
    pub fingerprint: Vec<u8>,
    /// The id of what it makes.
    pub subject: Subject,
    /// Which run of the server took it.
    pub run: Run,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The status of its answer, once there is one.
    pub status: Option<i32>,
    /// The answer, where it may be kept.
    pub body: Option<String>,
}

/// What is to be done with a request under a key that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The key is too old to count: it is like a new one.
    Expired,
    /// The key came with another request.
    Mismatch,
    /// It is being carried out at this moment.
    InHand,
    /// It was begun and nobody knows how far it came: it is done again, under the same id.
    GivenUp(Subject),
    /// It was done, and answered so.
    Done {
        /// The status.
        status: i32,
        /// The body, where it was kept.
        body: Option<String>,
    },
}

impl Known {
    /// How a request stands to what is known of its key.
    #[must_use]
    pub fn standing(self, fingerprint: &Fingerprint, run: Run, now: DateTime<Utc>) -> Standing {
        if now - self.created_at >= KEPT {
            return Standing::Expired;
        }
        if self.fingerprint != fingerprint {
            return Standing::Mismatch;
        }
        match self.status {
            Some(status) => Standing::Done {
                status,
                body: self.body,
            },
            None if self.run == run && now - self.created_at < IN_HAND => Standing::InHand,
            None => Standing::GivenUp(self.subject),
        }
    }
}

/// The key of a header: 1 to 255 visible ASCII characters, in double quotes or without.
#[must_use]
pub fn key_of(header: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(header).ok()?.trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    let fits = (1..=KEY_CHARS).contains(&bare.len())
        && bare
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"');
    fits.then(|| bare.to_owned())
}

/// The digest of a request; each part with its length, so that no two requests are alike.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(status: Option<i32>, run: Run, at: DateTime<Utc>) -> Known {
        Known {
            fingerprint: fingerprint(&[b"/a", b"x"]).to_vec(),
            subject: Subject(Uuid::from_u128(7)),
            run,
            created_at: at,
            status,
            body: Some("{}".to_owned()),
        }
    }

    #[test]
    fn a_key_stands_as_it_was_left() {
        let (ours, theirs) = (Run(Uuid::from_u128(1)), Run(Uuid::from_u128(2)));
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let same = fingerprint(&[b"/a", b"x"]);
        let other = fingerprint(&[b"/a", b"y"]);
        let stands = |known: Known, print| known.standing(print, ours, now);
        let done = Standing::Done {
            status: 202,
            body: Some("{}".to_owned()),
        };
        let given_up = Standing::GivenUp(Subject(Uuid::from_u128(7)));
        assert_eq!(stands(known(Some(202), theirs, now), &same), done);
        assert_eq!(
            stands(known(Some(202), ours, now), &other),
            Standing::Mismatch
        );
        assert_eq!(stands(known(None, ours, now), &same), Standing::InHand);
        assert_eq!(stands(known(None, theirs, now), &same), given_up);
        assert_eq!(stands(known(None, ours, now - IN_HAND), &same), given_up);
        assert_eq!(
            stands(known(Some(202), ours, now - KEPT), &same),
            Standing::Expired
        );
        assert_eq!(
            stands(known(Some(202), ours, now - KEPT), &other),
            Standing::Expired
        );
    }

    #[test]
    fn keys_are_visible_ascii_with_quotes_or_without() {
        assert_eq!(key_of(b"a-1").as_deref(), Some("a-1"));
        assert_eq!(key_of(b" \"a-1\" ").as_deref(), Some("a-1"));
        assert_eq!(key_of(&[b'x'; 255]).map(|key| key.len()), Some(255));
        for bad in [
            &b""[..],
            b"\"\"",
            b"a b",
            b"\"a",
            b"\xff",
            "ä".as_bytes(),
            &[b'x'; 256],
        ] {
            assert_eq!(key_of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn no_two_requests_have_one_fingerprint() {
        let one = fingerprint(&[b"/a", b"b"]);
        assert_ne!(one, fingerprint(&[b"/ab", b""]));
        assert_ne!(one, fingerprint(&[b"/ab"]));
    }
}
