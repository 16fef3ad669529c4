//! What the tool ends with when something does not work: one line, and an exit code.

use crate::client::ClientError;

/// Exit code for trouble with the line, as ssh has it.
pub(crate) const CONNECTION: u8 = 255;

/// Exit code for arguments that make no sense.
pub(crate) const USAGE: u8 = 2;

/// Why the tool ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One line; none where nothing is left to say.
    pub message: Option<String>,
    /// A stable word.
    pub code: String,
    /// What the process ends with.
    pub exit: u8,
}

impl Failure {
    /// Arguments that make no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            code: "usage".to_owned(),
            exit: USAGE,
        }
    }

    /// Something on this machine.
    pub fn local(message: impl Into<String>) -> Self {
        ClientError::local(message).into()
    }

    /// Just an exit code.
    pub fn silent(exit: u8) -> Self {
        Self {
            message: None,
            code: String::new(),
            exit,
        }
    }

    /// The same where every exit code below 255 is the remote command's.
    #[must_use]
    pub fn like_ssh(self) -> Self {
        let exit = match self.exit {
            1 => CONNECTION,
            other => other,
        };
        Self { exit, ..self }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Refused(problem) => problem.code.clone(),
            ClientError::Unreachable { .. } => "unreachable".to_owned(),
            ClientError::Lost(_) => "connection_lost".to_owned(),
            ClientError::SessionEnded(_) => "session_ended".to_owned(),
            ClientError::Unexpected(_) => "unexpected_answer".to_owned(),
            ClientError::Local(_) => "failed".to_owned(),
        };
        Self {
            message: Some(error.to_string()),
            code,
            exit: if error.is_connection() { CONNECTION } else { 1 },
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::local(error.to_string())
    }
}
