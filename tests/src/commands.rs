//! Commands outside tunnels, as a technician gives them and as an agent of the tests' own gets them.

use gururmm_shared::{
    AgentId, AgentMessage, CAPABILITY_COMMAND_CANCEL, CAPABILITY_COMMAND_JOURNAL,
    CAPABILITY_COMMAND_OUTPUT, Command, CommandId, CommandResult, ServerMessage,
};
use serde_json::{Value, json};

use crate::api::text;
use crate::deployment::Deployment;
use crate::raw_agent::RawAgent;
use crate::wait::{SOON, eventually};

/// What an agent with a journal says it can.
#[must_use]
pub fn journal_capabilities() -> Vec<String> {
    [
        CAPABILITY_COMMAND_JOURNAL,
        CAPABILITY_COMMAND_CANCEL,
        CAPABILITY_COMMAND_OUTPUT,
    ]
    .map(str::to_owned)
    .to_vec()
}

impl Deployment {
    /// Gives a shell command to an agent, as the technician.
    pub async fn give(&self, agent: AgentId, line: &str) -> CommandId {
        self.give_body(agent, json!({"command": line})).await
    }

    /// Gives a command to an agent, as the technician.
    pub async fn give_body(&self, agent: AgentId, body: Value) -> CommandId {
        let path = format!("/api/agents/{agent}/command");
        let answer = self.technician.post(&path, body).await.expect(202);
        text(&answer, "command_id").parse().expect("a uuid")
    }

    /// How a command stands.
    pub async fn command_row(&self, id: CommandId) -> Value {
        let path = format!("/api/commands/{id}");
        self.technician.get(&path).await.expect(200)
    }

    /// Waits until a command has this status.
    pub async fn wait_command(&self, id: CommandId, status: &str) -> Value {
        eventually(&format!("command {id} is {status}"), SOON, || async {
            let row = self.command_row(id).await;
            (row["status"] == status).then_some(row)
        })
        .await
    }

    /// Waits until a command has ended.
    pub async fn wait_ended(&self, id: CommandId) -> Value {
        eventually(&format!("command {id} has ended"), SOON, || async {
            let row = self.command_row(id).await;
            row["finished_at"].is_string().then_some(row)
        })
        .await
    }

    /// Connects an agent of the tests' own that keeps a journal of its commands.
    pub async fn journal_agent(&self) -> (RawAgent, AgentId, String) {
        let mut agent = RawAgent::connect(&self.server.agents_url()).await;
        let mut auth = agent.auth(&self.site.code);
        auth.capabilities = journal_capabilities();
        let ack = agent.authenticate(auth).await;
        let key = ack.api_key.expect("a first enrolment gets a key");
        (agent, ack.agent_id.expect("auth_ack tells the id"), key)
    }

    /// Connects that agent again, with what it has in flight.
    pub async fn journal_agent_again(&self, key: &str, in_flight: Vec<CommandId>) -> RawAgent {
        let mut agent = RawAgent::connect(&self.server.agents_url()).await;
        let mut auth = agent.auth(key);
        auth.capabilities = journal_capabilities();
        auth.in_flight = in_flight;
        agent.authenticate(auth).await;
        agent
    }
}

impl RawAgent {
    /// Waits for a command.
    pub async fn command(&mut self) -> Command {
        self.expect("command", |message| match message {
            ServerMessage::Command(command) => Some(command.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the order to end a command.
    pub async fn command_cancel(&mut self) -> CommandId {
        self.expect("command_cancel", |message| match message {
            ServerMessage::CommandCancel(cancel) => Some(cancel.id),
            _ => None,
        })
        .await
    }

    /// Tells the end of a command.
    pub async fn result(&mut self, result: CommandResult) {
        self.send(&AgentMessage::CommandResult(result)).await;
    }

    /// Waits until a result is acknowledged.
    pub async fn acknowledged(&mut self) -> CommandId {
        self.expect("ack", |message| match message {
            ServerMessage::Ack(ack) => ack.id,
            _ => None,
        })
        .await
    }
}

/// The result of a command that went well.
#[must_use]
pub fn success(id: CommandId, stdout: &str) -> CommandResult {
    CommandResult {
        id,
        exit_code: Some(0),
        stdout: stdout.to_owned(),
        stderr: String::new(),
        duration_ms: 5,
        reason: None,
    }
}
