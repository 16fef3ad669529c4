//! What the journal holds: one line a record, its checksum and its JSON. A line that is damaged harms
//! no other one, since JSON has no line end in it.

use std::sync::Arc;

use gururmm_shared::{CommandId, CommandResult, EndReason};
use serde::{Deserialize, Serialize};

use crate::platform::Leader;

/// Digits of the checksum (CRC-32, in hexadecimal) that a line begins with.
const CHECKSUM_DIGITS: usize = 8;

/// One thing that happened to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// It is about to be started: from here on it is never started again.
    Started {
        /// Which command.
        id: CommandId,
    },
    /// It runs, and this is its first process.
    Running {
        /// Which command.
        id: CommandId,
        /// Its first process.
        leader: Leader,
    },
    /// It has ended, or will never start; the server does not know yet.
    Ended {
        /// When, in seconds since 1970 by the agent's clock.
        at: u64,
        /// How.
        #[serde(with = "shared")]
        result: Arc<CommandResult>,
    },
    /// The server has the result.
    Acknowledged {
        /// Which command.
        id: CommandId,
        /// What is remembered of it.
        #[serde(flatten)]
        summary: Summary,
    },
}

/// What is remembered of a result whose output is kept no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it ended, where not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// How long it ran.
    pub duration_ms: u64,
}

impl Summary {
    /// What is to be remembered of `result`.
    #[must_use]
    pub fn of(result: &CommandResult) -> Self {
        Self {
            exit_code: result.exit_code,
            reason: result.reason,
            duration_ms: result.duration_ms,
        }
    }
}

impl Record {
    /// Appends the record's line to `lines`.
    ///
    /// # Errors
    /// None that a record can cause; what `serde_json` says.
    pub fn encode(&self, lines: &mut Vec<u8>) -> serde_json::Result<()> {
        let json = serde_json::to_vec(self)?;
        let checksum = crc32fast::hash(&json);
        lines.extend_from_slice(format!("{checksum:08x} ").as_bytes());
        lines.extend_from_slice(&json);
        lines.push(b'\n');
        Ok(())
    }

    /// Reads a line; none if it is not what [`Record::encode`] wrote.
    #[must_use]
    pub fn decode(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n")?;
        let (checksum, rest) = line.split_at_checked(CHECKSUM_DIGITS)?;
        let json = rest.strip_prefix(b" ")?;
        let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
        if crc32fast::hash(json) != checksum {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

/// A result that the ledger and its record share, so that rewriting the journal copies no output.
mod shared {
    use std::sync::Arc;

    use gururmm_shared::CommandResult;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(
        result: &Arc<CommandResult>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        CommandResult::serialize(result, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<CommandResult>, D::Error> {
        CommandResult::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_from_its_line_and_a_damaged_line_does_not() {
        let id = CommandId::generate();
        let result = CommandResult {
            id,
            exit_code: Some(3),
            stdout: "two\nlines \u{1}é\"".to_owned(),
            stderr: String::new(),
            duration_ms: 5,
            reason: Some(EndReason::Cancelled),
        };
        for record in [
            Record::Started { id },
            Record::Acknowledged {
                id,
                summary: Summary::of(&result),
            },
            Record::Ended {
                at: 7,
                result: Arc::new(result),
            },
        ] {
            let mut line = Vec::new();
            record.encode(&mut line).unwrap();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(Record::decode(&line), Some(record));
            for place in 0..line.len() {
                let mut damaged = line.clone();
                damaged[place] ^= 0x10;
                assert_eq!(Record::decode(&damaged), None, "byte {place}");
                assert_eq!(Record::decode(&line[..place]), None, "torn at {place}");
            }
        }
    }
}
