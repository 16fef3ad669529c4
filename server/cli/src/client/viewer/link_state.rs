//! How a viewer's connection is, for whoever waits for it.

use crate::client::ClientError;

/// How a viewer's connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It stands.
    Connected,
    /// It stands, but the line from the server to the machine is lost.
    Suspended {
        /// For so long the session waits.
        grace_seconds: u32,
    },
    /// It was lost and is being opened again.
    Reconnecting {
        /// Why.
        why: String,
    },
    /// The session is over.
    Closed {
        /// Why.
        reason: String,
    },
    /// It was lost for good.
    Failed(ClientError),
}

impl LinkState {
    /// Whether nothing more will come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Failed(_))
    }

    /// Why nothing more will come.
    #[must_use]
    pub fn error(&self) -> Option<ClientError> {
        match self {
            Self::Closed { reason } => Some(ClientError::SessionEnded(reason.clone())),
            Self::Failed(error) => Some(error.clone()),
            _ => None,
        }
    }
}
