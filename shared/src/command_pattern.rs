//! A pattern of commands, as policies and the wire write it.

use serde::{Deserialize, Serialize};

/// A pattern of commands; `glob` stands for the whole command, `regex` for a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CommandPattern {
    /// `*` is any text and `?` any character.
    Glob(String),
    /// In the syntax of the crate `regex`.
    Regex(String),
}

impl CommandPattern {
    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Glob(text) | Self::Regex(text) => text,
        }
    }
}
