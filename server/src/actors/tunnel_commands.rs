//! How a session starts a command: checked, audited and committed, then sent.

use std::time::Instant;

use actix::prelude::*;
use gururmm_shared::{
    AuditId, ChannelId, CommandId, CommandType, Feature, ServerMessage, Terminal, TunnelData,
    TunnelPayload,
};

use super::session_messages::{CommandStarted, RunCommand, SessionError};
use super::tunnel::TunnelSession;
use crate::db::tunnel_audit;
use crate::domain::channels::NewChannel;
use crate::domain::session_state::Phase;
use crate::domain::streams::Refused;
use crate::services::audit;

impl TunnelSession {
    fn admit(&mut self) -> Result<(), SessionError> {
        if self.state.phase() != Phase::Ready {
            return Err(SessionError::Closed);
        }
        if !self.rules.allows(Feature::Commands) {
            return Err(Refused::Feature(Feature::Commands).into());
        }
        let most = self.settings.max_running_commands as usize;
        if self.channels.running() + self.starting >= most {
            return Err(SessionError::TooManyCommands(most));
        }
        if !self.budget.take(Instant::now()) {
            return Err(SessionError::TooFast(self.settings.commands_per_minute));
        }
        Ok(())
    }

    fn dispatch(&mut self, new: NewChannel, command_type: CommandType, timeout_seconds: u64) {
        let terminal = Terminal {
            command: new.command.clone(),
            command_type: (command_type != CommandType::Shell).then_some(command_type),
            command_id: Some(new.command_id),
            session_id: Some(self.id),
            timeout_seconds: Some(timeout_seconds),
            window: new.flow_controlled.then_some(self.settings.window_bytes),
        };
        let channel_id = new.channel_id.clone();
        let outgoing = self.channels.start(new);
        self.send_out(outgoing);
        self.send_to_agent(ServerMessage::TunnelData(TunnelData {
            channel_id,
            data: TunnelPayload::Terminal(terminal),
        }));
        metrics::counter!("gururmm_tunnel_commands_total").increment(1);
    }
}

/// The command as the audit writes it: the line, and the interpreter where it is not the shell.
fn describe(command_type: &CommandType, command: &str) -> String {
    match command_type {
        CommandType::Shell => command.to_owned(),
        CommandType::ClaudeTask { task, .. } => format!("[claude_task] {task}"),
        other => format!("[{}] {command}", other.name()),
    }
}

impl Handler<RunCommand> for TunnelSession {
    type Result = ResponseActFuture<Self, Result<CommandStarted, SessionError>>;

    fn handle(&mut self, message: RunCommand, _: &mut Self::Context) -> Self::Result {
        if let Err(error) = self.admit() {
            return Box::pin(fut::ready(Err(error)));
        }
        self.note_activity();
        self.starting += 1;
        let command_id = CommandId::generate();
        let channel_id: ChannelId = self.agent.next_channel();
        let audit_id = AuditId::generate();
        let described = describe(&message.command_type, &message.command);
        let line = (command_id, &channel_id, described.as_str());
        let mut row = audit::command(&message.caller, self.agent_name(), self.id, line);
        row.id = audit_id;
        let db = self.db.clone();
        let write = async move { tunnel_audit::insert(&db, row).await };
        Box::pin(write.into_actor(self).map(move |written, act, _| {
            act.starting -= 1;
            if let Err(error) = written {
                tracing::error!(%error, session.id = %act.id, "a command could not be audited and was refused");
                return Err(SessionError::AuditUnavailable);
            }
            if act.state.phase() != Phase::Ready {
                let ended = crate::domain::channels::Ended {
                    audit_id,
                    outcome: "cancelled",
                    exit_code: None,
                };
                act.settle(vec![ended]);
                return Err(SessionError::Closed);
            }
            let new = NewChannel {
                channel_id: channel_id.clone(),
                command_id,
                audit_id,
                command: message.command,
                flow_controlled: act.agent.flow_controlled,
            };
            act.mark_recordings(&described);
            act.dispatch(new, message.command_type, message.timeout_seconds);
            Ok(CommandStarted { command_id, channel_id })
        }))
    }
}
