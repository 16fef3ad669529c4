//! What can go wrong between here and the server, in words that say what to do.

use serde::Deserialize;

/// A refusal as RFC 9457 has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// A stable word.
    #[serde(default)]
    pub code: String,
    /// A sentence.
    #[serde(default)]
    pub detail: String,
    /// The field or parameter at fault.
    #[serde(default)]
    pub field: Option<String>,
}

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No answer came.
    #[error("cannot reach {server}: {cause}; check the address and the network")]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        cause: String,
    },
    /// The server refused.
    #[error("{}", refusal(.0))]
    Refused(Problem),
    /// The connection was lost and did not come back in time.
    #[error("the connection was lost and did not come back: {0}")]
    Lost(String),
    /// The session is over.
    #[error("the session has ended ({0}); start again to open a new one")]
    SessionEnded(String),
    /// The other side says what makes no sense.
    #[error("the server answered something unexpected: {0}; is this tool as new as the server?")]
    Unexpected(String),
    /// Something on this machine.
    #[error("{0}")]
    Local(String),
}

fn refusal(problem: &Problem) -> String {
    let mut text = match (problem.detail.is_empty(), problem.status) {
        (false, _) => problem.detail.clone(),
        (true, status) => format!("the server answered {status}"),
    };
    match (problem.code.as_str(), problem.status) {
        ("invalid_credentials", _) => {}
        (_, 401) => text += "; log in again: gururmm login",
        ("session_exists", _) => text += "; gururmm sessions lists your open ones",
        _ => {}
    }
    text
}

impl ClientError {
    /// Makes an error of this machine's.
    pub fn local(what: impl Into<String>) -> Self {
        Self::Local(what.into())
    }

    /// The refusal's stable word, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// Whether the same may work a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost(_) => true,
            Self::Refused(problem) => {
                // A proxy's refusal has no word of the server's.
                let of_proxy = problem.status >= 500 && problem.code.is_empty();
                matches!(problem.status, 408 | 425 | 429 | 503)
                    || of_proxy
                    || problem.code == "incomplete_upload"
            }
            Self::SessionEnded(_) | Self::Unexpected(_) | Self::Local(_) => false,
        }
    }

    /// Whether the line is at fault and not what was asked for.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Lost(_) | Self::SessionEnded(_)
        ) || matches!(self, Self::Refused(problem) if problem.status >= 500 && self.is_passing())
    }
}

/// All causes of an error, in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> ClientError {
        ClientError::Refused(Problem {
            status,
            code: code.to_owned(),
            detail: "no".to_owned(),
            field: None,
        })
    }

    #[test]
    fn an_expired_token_names_the_way_out() {
        let text = refused(401, "token_expired").to_string();
        assert!(text.contains("gururmm login"), "{text}");
        let text = refused(401, "invalid_credentials").to_string();
        assert_eq!(text, "no");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(refused(503, "unavailable").is_passing());
        assert!(refused(429, "too_many_viewers").is_passing());
        assert!(refused(502, "").is_passing());
        assert!(!refused(507, "disk_full").is_passing());
        assert!(!refused(409, "session_closed").is_passing());
        assert!(!refused(403, "out_of_scope").is_passing());
    }
}
