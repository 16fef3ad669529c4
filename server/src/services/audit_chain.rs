//! What a seal is: an HMAC-SHA256 over the seal before, its own number and every field of an entry.
//! The key is a file beside the database and never in it, so that who can write the database cannot
//! make seals. Knows no table and no file.

use std::fmt::Write;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::db::audit_log::Entry;

/// A seal's HMAC.
pub type Hash = [u8; 32];

/// What stands before the first seal.
pub const BEGINNING: Hash = [0; 32];

/// The form of the canonical bytes; another form would be another name.
const FORM: &[u8] = b"gururmm-audit-1";
/// The length that stands for a field without a value.
const NONE: u32 = u32::MAX;

/// The key of a chain.
#[derive(Clone)]
pub struct ChainKey([u8; 32]);

impl ChainKey {
    /// The key that a secret's text makes.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The seal of an entry, the `seq`th, after the seal `before`.
    #[must_use]
    pub fn seal(&self, before: &Hash, seq: i64, entry: &Entry) -> Hash {
        self.mac(&[before, &seq.to_be_bytes(), &canonical(entry)])
    }

    /// An HMAC over parts whose lengths are known.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> Hash {
        // HMAC takes a key of any length, so there is no error to hand on.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return BEGINNING;
        };
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// An entry as bytes: the form's name, then each field in the order of the table as a length of four
/// bytes (big-endian; `0xffff_ffff` where it is null) and its value. Numbers are big-endian, times
/// microseconds since 1970, ids their 16 bytes, texts UTF-8: the same from both databases.
#[must_use]
pub fn canonical(entry: &Entry) -> Vec<u8> {
    let mut bytes = Fields(FORM.to_vec());
    bytes.put(Some(&entry.id.to_be_bytes()));
    bytes.put(Some(entry.act_id.0.as_bytes()));
    bytes.put(Some(entry.stage.as_bytes()));
    bytes.put(Some(&entry.at.timestamp_micros().to_be_bytes()));
    bytes.put(Some(entry.action.as_bytes()));
    bytes.put(entry.user_id.as_ref().map(|id| id.0.as_bytes().as_slice()));
    bytes.put(Some(entry.user_email.as_bytes()));
    bytes.put(entry.key_id.as_ref().map(|id| id.0.as_bytes().as_slice()));
    bytes.put(entry.agent_id.as_ref().map(|id| id.0.as_bytes().as_slice()));
    bytes.put(entry.agent_hostname.as_deref().map(str::as_bytes));
    bytes.put(
        entry
            .client_id
            .as_ref()
            .map(|id| id.0.as_bytes().as_slice()),
    );
    bytes.put(entry.site_id.as_ref().map(|id| id.0.as_bytes().as_slice()));
    bytes.put(entry.session_id.as_deref().map(str::as_bytes));
    bytes.put(
        entry
            .command_id
            .as_ref()
            .map(|id| id.0.as_bytes().as_slice()),
    );
    bytes.put(Some(entry.target.as_bytes()));
    bytes.put(Some(entry.detail.as_bytes()));
    bytes.put(Some(entry.remote_addr.as_bytes()));
    bytes.put(Some(entry.request_id.as_bytes()));
    bytes.put(entry.outcome.as_deref().map(str::as_bytes));
    bytes.put(
        entry
            .exit_code
            .map(i32::to_be_bytes)
            .as_ref()
            .map(<[u8; 4]>::as_slice),
    );
    bytes.0
}

struct Fields(Vec<u8>);

impl Fields {
    fn put(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(NONE, |value| u32::try_from(value.len()).unwrap_or(NONE - 1));
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value.unwrap_or_default());
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// 32 bytes from hexadecimal digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Hash> {
    let mut hash = BEGINNING;
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use gururmm_shared::{AgentId, AuditId, UserId};
    use uuid::Uuid;

    use super::*;

    fn entry() -> Entry {
        Entry {
            id: 7,
            act_id: AuditId(Uuid::from_u128(1)),
            stage: "asked".to_owned(),
            at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            action: "client.create".to_owned(),
            user_id: Some(UserId(Uuid::from_u128(2))),
            user_email: "a@example.com".to_owned(),
            key_id: None,
            agent_id: Some(AgentId(Uuid::from_u128(3))),
            agent_hostname: Some(String::new()),
            client_id: None,
            site_id: None,
            session_id: None,
            command_id: None,
            target: "ü".to_owned(),
            detail: "{}".to_owned(),
            remote_addr: "127.0.0.1".to_owned(),
            request_id: "r-1".to_owned(),
            outcome: None,
            exit_code: Some(-1),
        }
    }

    #[test]
    fn the_canonical_bytes_and_the_seal_are_what_they_always_were() {
        let bytes = hex(&canonical(&entry()));
        let golden = concat!(
            "67757275726d6d2d61756469742d31",
            "000000080000000000000007",
            "0000001000000000000000000000000000000001",
            "0000000561736b6564",
            "0000000800060a2418202240",
            "0000000d636c69656e742e637265617465",
            "0000001000000000000000000000000000000002",
            "0000000d61406578616d706c652e636f6d",
            "ffffffff",
            "0000001000000000000000000000000000000003",
            "00000000",
            "ffffffff",
            "ffffffff",
            "ffffffff",
            "ffffffff",
            "00000002c3bc",
            "000000027b7d",
            "000000093132372e302e302e31",
            "00000003722d31",
            "ffffffff",
            "00000004ffffffff",
        );
        assert_eq!(bytes, golden);
        let seal = ChainKey::new("secret").seal(&BEGINNING, 1, &entry());
        assert_eq!(
            hex(&seal),
            "26cdbd9d20248ebbca8dfc943e37e2d04b3f8f424ecac18b10883723f5abe977"
        );
    }

    #[test]
    fn a_seal_changes_with_the_key_the_place_and_every_field() {
        let key = ChainKey::new("secret");
        let seal = key.seal(&BEGINNING, 1, &entry());
        assert_ne!(seal, ChainKey::new("other").seal(&BEGINNING, 1, &entry()));
        assert_ne!(seal, key.seal(&BEGINNING, 2, &entry()));
        assert_ne!(seal, key.seal(&[1; 32], 1, &entry()));
        // What moves from one field to its neighbour is another entry.
        let mut moved = entry();
        (moved.target, moved.detail) = ("ü{".to_owned(), "}".to_owned());
        assert_ne!(seal, key.seal(&BEGINNING, 1, &moved));
        let mut none = entry();
        none.agent_hostname = None;
        assert_ne!(seal, key.seal(&BEGINNING, 1, &none));
    }

    #[test]
    fn hexadecimal_digits_read_back() {
        assert_eq!(unhex(&hex(&[171; 32])), Some([171; 32]));
        assert_eq!(unhex("ab"), None);
        assert_eq!(unhex(&"zz".repeat(32)), None);
    }
}
