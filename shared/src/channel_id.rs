//! The name of a channel inside a tunnel.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Feature;

/// A channel's name, chosen by the server and unique on the agent's connection, as `terminal-1`.
///
/// At most [`ChannelId::MAX_BYTES`] bytes of ASCII letters, digits, `-`, `_` and `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelId(String);

/// Why a text is no channel name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a channel id has 1 to 64 characters of a-z, A-Z, 0-9, '-', '_' and '.'")]
pub struct InvalidChannelId;

impl ChannelId {
    /// The longest name in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Names the `number`th terminal channel of a connection.
    #[must_use]
    pub fn terminal(number: u64) -> Self {
        Self(format!("terminal-{number}"))
    }

    /// Names the `number`th channel of a connection by what it is for, as `files-7`.
    #[must_use]
    pub fn of(feature: Feature, number: u64) -> Self {
        Self(format!("{}-{number}", feature.name()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChannelId {
    type Error = InvalidChannelId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(allowed) {
            return Err(InvalidChannelId);
        }
        Ok(Self(text))
    }
}

impl From<ChannelId> for String {
    fn from(id: ChannelId) -> Self {
        id.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_id_with_control_characters_or_too_long_is_refused() {
        for bad in ["", "a b", "a\n", "é", "a/b", &"x".repeat(65)] {
            assert_eq!(
                ChannelId::try_from(bad.to_owned()),
                Err(InvalidChannelId),
                "{bad:?}"
            );
        }
        assert!(ChannelId::try_from("terminal-1".to_owned()).is_ok());
    }
}
