//! A tunnel session: opening, closing, what is started in it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use gururmm_shared::{
    AgentId, ChannelId, ChannelSummary, CommandId, CommandType, SessionId, StreamId, TerminalSize,
};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rest::{ANSWER_PATIENCE, OPEN_PATIENCE};
use super::socket::{Socket, dial};
use super::{Client, ClientError};

/// A session, and who asks.
#[derive(Debug, Clone)]
pub struct SessionClient {
    client: Client,
    id: SessionId,
}

/// A session of the caller's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenSession {
    /// Which one.
    pub session_id: SessionId,
    /// To which agent.
    pub agent_id: AgentId,
}

/// A session in detail.
#[derive(Debug, Clone, Deserialize)]
pub struct SessionStatus {
    /// Which one.
    pub session_id: SessionId,
    /// To which agent.
    pub agent_id: AgentId,
    /// `active`, `ready`, `closed` or `error`.
    pub status: String,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// What runs in it.
    #[serde(default)]
    pub channels: Vec<ChannelSummary>,
}

/// A terminal to be opened.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewTerminal {
    /// Missing means the machine's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Missing means those of a log-in shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// Variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Missing means the home directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// `cols` and `rows`.
    #[serde(flatten)]
    pub size: TerminalSize,
    /// `TERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
}

/// A command to be run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewCommand {
    /// The command line.
    pub command: String,
    /// Missing means the shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_type: Option<CommandType>,
    /// Missing means the server's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
}

/// A command that was started.
#[derive(Debug, Clone, Deserialize)]
pub struct StartedCommand {
    /// Its id in the audit.
    pub command_id: CommandId,
    /// Where its output comes.
    pub channel_id: ChannelId,
}

/// A terminal that was opened.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StartedTerminal {
    pub channel_id: ChannelId,
    #[expect(dead_code, reason = "the stream says it, too")]
    pub stream: Option<StreamId>,
}

#[derive(Deserialize)]
struct Sessions {
    items: Vec<OpenSession>,
}

#[derive(Deserialize)]
struct Ticket {
    ticket: String,
}

impl SessionClient {
    /// Opens a session to an agent.
    ///
    /// # Errors
    /// [`ClientError`]; the code `session_exists` where there is one already.
    pub async fn open(client: &Client, agent: AgentId) -> Result<Self, ClientError> {
        let body = json!({"agent_id": agent});
        let request = client
            .request(Method::POST, "/api/v1/tunnel/open")
            .json(&body);
        let opened: OpenSession = client.json(request.timeout(OPEN_PATIENCE)).await?;
        Ok(Self::of(client, opened.session_id))
    }

    /// A session that is open already.
    #[must_use]
    pub fn of(client: &Client, id: SessionId) -> Self {
        Self {
            client: client.clone(),
            id,
        }
    }

    /// Lists the caller's open sessions.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn list(client: &Client) -> Result<Vec<OpenSession>, ClientError> {
        let sessions: Sessions = client.get("/api/v1/tunnel", &[]).await?;
        Ok(sessions.items)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Who asks.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Closes it.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn close(&self) -> Result<(), ClientError> {
        let body = json!({"session_id": self.id});
        let _closed: Value = self.client.post("/api/v1/tunnel/close", &body).await?;
        Ok(())
    }

    /// Tells how it is.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn status(&self) -> Result<SessionStatus, ClientError> {
        let path = format!("/api/v1/tunnel/status/{}", self.id);
        self.client.get(&path, &[]).await
    }

    /// Starts a command; its output comes on the stream.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn command(&self, command: &NewCommand) -> Result<StartedCommand, ClientError> {
        self.client.post(&self.path("command"), command).await
    }

    pub(super) async fn terminal(
        &self,
        terminal: &NewTerminal,
    ) -> Result<StartedTerminal, ClientError> {
        self.client.post(&self.path("terminal"), terminal).await
    }

    /// Opens the stream with a ticket of its own.
    pub(super) async fn stream(&self, query: &str, read_only: bool) -> Result<Socket, ClientError> {
        let path = self.path("ticket");
        let mut request = self.client.request(Method::POST, &path);
        if read_only {
            request = request.json(&json!({"read_only": true}));
        }
        let ticket: Ticket = self.client.json(request.timeout(ANSWER_PATIENCE)).await?;
        let ticket = ticket.ticket;
        let path = self.path(&format!("stream?ticket={ticket}&{query}"));
        dial(&self.client, &path, false).await
    }

    /// A path below the session's.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/tunnel/{}/{rest}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_asked_for_with_its_size_and_nothing_empty() {
        let body = serde_json::to_value(NewTerminal::default()).unwrap();
        assert_eq!(body, json!({"cols": 80, "rows": 24}));
    }
}
