//! How a connection, or the attempt to get one, ended.

use std::fmt;

use gururmm_shared::{ErrorReply, close_code};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Codes of an `error` before `auth_ack` that say nothing about who the agent is.
const PASSING_ERRORS: [&str; 4] = [
    "unavailable",
    "auth_required",
    "rate_limited",
    "internal_error",
];

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parting {
    /// It broke, or was never there; with what is known about it.
    Lost(String),
    /// The server stops or restarts.
    ServerRestarts,
    /// Another process uses the identity of this agent.
    Replaced,
    /// The server does not accept the agent's key; with what it said.
    Refused(String),
    /// The agent is being stopped.
    Stopped,
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(reason) => f.write_str(reason),
            Self::ServerRestarts => f.write_str("the server restarts"),
            Self::Replaced => f.write_str("another process connects as this agent"),
            Self::Refused(reason) => write!(f, "the server refused the key: {reason}"),
            Self::Stopped => f.write_str("the agent is being stopped"),
        }
    }
}

impl Parting {
    /// What a close frame says.
    pub fn from_close(frame: Option<CloseFrame>) -> Self {
        let Some(frame) = frame else {
            return Self::Lost("closed by the server".to_owned());
        };
        match u16::from(frame.code) {
            close_code::GOING_AWAY => Self::ServerRestarts,
            close_code::REPLACED => Self::Replaced,
            close_code::IDENTITY_REVOKED => Self::Refused(frame.reason.to_string()),
            code => Self::Lost(format!("closed by the server: {code} {}", frame.reason)),
        }
    }

    /// What an `error` in place of `auth_ack` says.
    pub fn from_auth_error(error: &ErrorReply) -> Self {
        let text = format!("{} {}", error.code, error.message);
        if PASSING_ERRORS.contains(&error.code.as_str()) {
            return Self::Lost(text);
        }
        Self::Refused(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> Parting {
        Parting::from_auth_error(&ErrorReply {
            code: code.to_owned(),
            message: String::new(),
        })
    }

    #[test]
    fn only_an_error_about_the_key_itself_is_a_refusal() {
        for code in ["unknown_key", "unknown_site_code", "already_enrolled", ""] {
            assert!(matches!(error(code), Parting::Refused(_)), "{code}");
        }
        for code in PASSING_ERRORS {
            assert!(matches!(error(code), Parting::Lost(_)), "{code}");
        }
    }

    #[test]
    fn close_codes_tell_how_to_go_on() {
        let closed = |code: u16| {
            Parting::from_close(Some(CloseFrame {
                code: code.into(),
                reason: "why".into(),
            }))
        };
        assert_eq!(closed(1001), Parting::ServerRestarts);
        assert_eq!(closed(4001), Parting::Replaced);
        assert_eq!(closed(4003), Parting::Refused("why".to_owned()));
        assert!(matches!(closed(1008), Parting::Lost(_)));
        assert!(matches!(Parting::from_close(None), Parting::Lost(_)));
    }
}
