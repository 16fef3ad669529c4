//! Terminals in tunnels: opened here, used on the viewer's stream.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use garde::Validate;
use gururmm_shared::environment::check_environment;
use gururmm_shared::{ChannelId, CommandId, SessionId, StreamId, TerminalOptions, TerminalSize};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Signed;
use super::sessions::{own_session, refuse};
use super::state::AppState;
use super::tunnels::session_error;
use crate::actors::session_messages::{OpenTerminal, SessionError};
use crate::domain::terminal::{MOST_CHARACTERS, is_size};
use crate::error::AppError;
use crate::services::audit::Refusal;

/// Bytes of a path.
const PATH_BYTES: usize = 4096;
/// Arguments of a program.
const ARGUMENTS: usize = 64;
/// Bytes of all arguments.
const ARGUMENTS_BYTES: usize = 16 * 1024;
/// Bytes of the name of a kind of terminal.
const TERM_BYTES: usize = 64;

/// Body of an open.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = NewTerminal)]
pub struct Open {
    /// `sh`, `bash`, `cmd`, `powershell`, or a path that the policy allows; the machine's default where it is
    /// left out.
    #[garde(skip)]
    #[schema(min_length = 1, max_length = 4096)]
    shell: Option<String>,
    /// Those of a log-in shell where they are left out.
    #[garde(skip)]
    #[schema(max_items = 64)]
    arguments: Option<Vec<String>>,
    /// Variables beside the agent's own; their names begin with `GURURMM_`.
    #[garde(skip)]
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// An absolute path; the home directory where it is left out.
    #[garde(skip)]
    #[schema(min_length = 1, max_length = 4096)]
    working_directory: Option<String>,
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 1000)]
    cols: u16,
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 1000)]
    rows: u16,
    /// `xterm-256color` where it is left out.
    #[garde(skip)]
    #[schema(min_length = 1, max_length = 64)]
    term: Option<String>,
}

/// A terminal that was opened.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenedTerminal)]
struct OpenedView {
    channel_id: ChannelId,
    /// The number of its frames on the viewer's stream.
    stream: StreamId,
    /// Its id in the audit.
    command_id: CommandId,
    /// What it runs.
    program: String,
    size: TerminalSize,
}

fn check_path(field: &'static str, path: Option<&String>) -> Result<(), AppError> {
    match path {
        Some(path) if path.is_empty() || path.len() > PATH_BYTES || path.contains('\0') => {
            let detail = format!("has 1 to {PATH_BYTES} bytes and no NUL; or leave it out");
            Err(AppError::invalid_field(field, detail))
        }
        _ => Ok(()),
    }
}

fn check_term(term: &str) -> Result<(), AppError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    if (1..=TERM_BYTES).contains(&term.len()) && term.bytes().all(allowed) {
        return Ok(());
    }
    let detail = format!("has 1 to {TERM_BYTES} of a-z, A-Z, 0-9, '-', '_', '.' and '+'");
    Err(AppError::invalid_field("term", detail))
}

impl Open {
    /// What the agent is asked for.
    fn options(self) -> Result<TerminalOptions, AppError> {
        check_path("shell", self.shell.as_ref())?;
        check_path("working_directory", self.working_directory.as_ref())?;
        let arguments = self.arguments.as_deref().unwrap_or_default();
        let bytes: usize = arguments.iter().map(String::len).sum();
        let nul = arguments.iter().any(|argument| argument.contains('\0'));
        if arguments.len() > ARGUMENTS || bytes > ARGUMENTS_BYTES || nul {
            let detail = format!("{ARGUMENTS} at most, {ARGUMENTS_BYTES} bytes together, no NUL");
            return Err(AppError::invalid_field("arguments", detail));
        }
        check_environment(&self.environment)
            .map_err(|why| AppError::invalid_field("environment", why))?;
        self.term.as_deref().map_or(Ok(()), check_term)?;
        let (cols, rows) = (self.cols, self.rows);
        let size = TerminalSize { cols, rows };
        if !is_size(size) {
            let detail = format!(
                "cols and rows are 1 to {}, and at most {MOST_CHARACTERS} characters together",
                TerminalSize::MOST
            );
            let field = if cols == size.clamped().cols {
                "rows"
            } else {
                "cols"
            };
            return Err(AppError::invalid_field(field, detail));
        }
        Ok(TerminalOptions {
            shell: self.shell,
            arguments: self.arguments,
            environment: self.environment,
            working_directory: self.working_directory,
            size,
            term: self.term,
        })
    }
}

/// Opens a terminal in a tunnel.
#[utoipa::path(
    tag = "tunnels",
    operation_id = "open_terminal",
    request_body = Open,
    responses(
        (status = 201, description = "it is open", body = OpenedView),
        (status = 403, description = "`not_allowed`: the policy forbids it"),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`, `agent_cannot`, `agent_refused`, `agent_offline`"),
        (status = 429, description = "`too_many_channels`, `too_many_commands`"),
        (status = 503, description = "`not_recorded`: the policy wants it recorded, and it cannot be"),
        (status = 504, description = "`not_answered`"),
    ),
)]
#[post("/api/v1/tunnel/{session_id}/terminal")]
pub async fn open(
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    signed: Signed<Open>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let session_id = SessionId(session_id.into_inner());
    let session = own_session(&state, &who, session_id, "terminal").await?;
    let options = body.options()?;
    let refusal = Refusal {
        what: format!("terminal {}", options.shell.as_deref().unwrap_or("default")),
        agent: Some((session.agent_id, String::new())),
        session_id: Some(session_id),
        ..Refusal::default()
    };
    let open = OpenTerminal {
        options,
        caller: who.caller.clone(),
    };
    let opened = match session.live() {
        Ok(tunnel) => tunnel.send(open).await.unwrap_or(Err(SessionError::Closed)),
        Err(_) => Err(SessionError::Closed),
    };
    match opened {
        Ok(opened) => Ok(HttpResponse::Created().json(OpenedView {
            channel_id: opened.channel_id,
            stream: opened.stream,
            command_id: opened.command_id,
            program: opened.program,
            size: opened.size,
        })),
        Err(error) => Err(refuse(&state, &who, refusal, session_error(&error)).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(body: serde_json::Value) -> Result<TerminalOptions, Option<String>> {
        let asked: Open = serde_json::from_value(body).unwrap();
        asked.options().map_err(|error| error.field)
    }

    #[test]
    fn every_input_has_a_limit() {
        let long = "x".repeat(PATH_BYTES + 1);
        for (field, value) in [
            ("shell", serde_json::json!("")),
            ("shell", serde_json::json!(long)),
            ("shell", serde_json::json!("a\0b")),
            ("working_directory", serde_json::json!(long)),
            ("arguments", serde_json::json!(vec!["a"; ARGUMENTS + 1])),
            (
                "arguments",
                serde_json::json!(["x".repeat(ARGUMENTS_BYTES + 1)]),
            ),
            ("environment", serde_json::json!({"PATH": "/tmp"})),
            ("term", serde_json::json!("xterm;reboot")),
            ("cols", serde_json::json!(1001)),
            ("cols", serde_json::json!(0)),
            ("rows", serde_json::json!(0)),
        ] {
            let mut body = serde_json::json!({"cols": 80, "rows": 24});
            body[field] = value;
            assert_eq!(options(body).unwrap_err().as_deref(), Some(field));
        }
        let large = serde_json::json!({"cols": 1000, "rows": 1000});
        assert_eq!(options(large).unwrap_err().as_deref(), Some("rows"));
        assert!(options(serde_json::json!({"cols": 80, "rows": 24})).is_ok());
    }
}
