//! What the agent has to know of an update over its own end.

use std::path::PathBuf;

use gururmm_shared::UpdateResult;
use serde::{Deserialize, Serialize};

/// The form of the record.
pub const FORMAT: u32 = 1;
/// Results that wait for the server; the oldest goes when there are more.
pub const MOST_RESULTS: usize = 16;

/// The record of updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The form of it: 1.
    pub format: u32,
    /// A version that is being fetched or put in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<String>,
    /// A version that has still to reach the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_trial: Option<OnTrial>,
    /// What the server has still to be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<UpdateResult>,
}

/// A version that has still to show that it is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnTrial {
    /// Which version.
    pub version: String,
    /// Which one it takes the place of.
    pub previous_version: String,
    /// The program whose name both have.
    pub program: PathBuf,
    /// How long it may take to reach the server.
    pub confirm_seconds: u64,
    /// How often it was started.
    pub starts: u32,
    /// Why it has to give way again, where that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_back: Option<String>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            format: FORMAT,
            under_way: None,
            on_trial: None,
            results: Vec::new(),
        }
    }
}

impl Record {
    /// Adds what the server is to be told.
    pub fn add_result(&mut self, result: UpdateResult) {
        if self.results.len() >= MOST_RESULTS {
            self.results.remove(0);
        }
        self.results.push(result);
    }

    /// Whether there is nothing to be remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
