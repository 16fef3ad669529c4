//! What an agent says once it is let in: each message within its budget, then to whom it is for.

use std::time::Instant;

use actix::prelude::*;
use bytes::Bytes;
use gururmm_shared::{
    AgentId, AgentMessage, DecodeError, Frame, FrameError, Inventory, ResetCode, close_code,
};

use super::agent_auth::close_unknown;
use super::agent_routes::FrameRoute;
use super::agent_socket::{AgentConnection, SocketContext};
use crate::actors::command_messages::CommandReport;
use crate::actors::metrics_messages::Report;
use crate::actors::session_messages::FromAgent;

/// Bytes of a message with network interfaces.
const NETWORK_BYTES: usize = 512 * 1024;

impl AgentConnection {
    pub(super) fn on_live_text(&mut self, agent_id: AgentId, text: &str, ctx: &mut SocketContext) {
        match AgentMessage::decode(text) {
            Ok(AgentMessage::NetworkState(_)) if text.len() > NETWORK_BYTES => {
                if !self.budget.take(Instant::now()) {
                    return self.close(close_code::POLICY, "too many messages", ctx);
                }
                let hint = format!("a network_state has at most {NETWORK_BYTES} bytes");
                Self::send_error("too_large", hint, ctx);
            }
            Ok(AgentMessage::Inventory(_)) if text.len() > Inventory::MAX_BYTES => {
                if !self.budget.take(Instant::now()) {
                    return self.close(close_code::POLICY, "too many messages", ctx);
                }
                let hint = format!("an inventory has at most {} bytes", Inventory::MAX_BYTES);
                Self::send_error("too_large", hint, ctx);
            }
            Ok(message) => self.on_message(agent_id, message, ctx),
            Err(error) => self.on_bad_message(&error, ctx),
        }
    }

    fn on_bad_message(&mut self, error: &DecodeError, ctx: &mut SocketContext) {
        let unknown = matches!(error, DecodeError::UnknownType(_));
        tracing::debug!(%error, "an agent sent what is not understood");
        let now = Instant::now();
        // An unknown type is no fault: it only counts as a message.
        let tolerated = if unknown {
            self.budget.take(now)
        } else {
            self.patience.take(now)
        };
        if !tolerated {
            return self.close(close_code::POLICY, "too many bad messages", ctx);
        }
        Self::send_error(error.code(), error.to_string(), ctx);
    }

    fn on_message(&mut self, agent_id: AgentId, message: AgentMessage, ctx: &mut SocketContext) {
        // Tunnel data is bounded by its windows and by the session that reads it.
        let bulk = matches!(message, AgentMessage::TunnelData(_));
        if !bulk && !self.budget.take(Instant::now()) {
            tracing::warn!("an agent sends too fast and is closed");
            return self.close(close_code::POLICY, "too many messages", ctx);
        }
        let at = crate::services::audit::now();
        let report = match message {
            AgentMessage::Auth(_) => {
                let hint = "this connection is authenticated already".to_owned();
                return Self::send_error("unexpected_auth", hint, ctx);
            }
            AgentMessage::Heartbeat => Report::Seen(agent_id, at),
            AgentMessage::Metrics(metrics) => Report::Sample(agent_id, at, metrics),
            AgentMessage::NetworkState(network) => Report::Network(agent_id, at, network),
            AgentMessage::WatchdogEvent(event) => Report::Watchdog(agent_id, at, event),
            AgentMessage::UpdateResult(result) => Report::Update(agent_id, result),
            AgentMessage::Inventory(told) => return self.on_inventory(agent_id, told, ctx),
            AgentMessage::CommandOutput(output) => {
                return self.report(CommandReport::Output(agent_id, output), ctx);
            }
            AgentMessage::CommandResult(result) => {
                let connection = ctx.address().recipient();
                return self.report(CommandReport::Result(agent_id, result, connection), ctx);
            }
            AgentMessage::TunnelReady(ready) => {
                let consent = ready.consent;
                return match self.routes.of_session(&ready.session_id) {
                    Some(tunnel) => tunnel.do_send(FromAgent::Ready { consent }),
                    None => Self::send(&close_unknown(ready.session_id), ctx),
                };
            }
            AgentMessage::TunnelClosed(closed) => {
                if let Some(tunnel) = self.routes.of_session(&closed.session_id) {
                    let reason = crate::domain::text::tame(&closed.reason, 500);
                    let consent = closed.consent;
                    tunnel.do_send(FromAgent::Closed { reason, consent });
                }
                return;
            }
            AgentMessage::TunnelData(data) => {
                let tunnel = self.routes.of_channel(&data.channel_id).cloned();
                self.routes.close_channel(&data);
                return self.forward(tunnel, FromAgent::Data(data), ctx);
            }
            AgentMessage::TunnelError(mut error) => {
                error.error = crate::domain::text::tame(&error.error, 2000);
                let tunnel = self.routes.of_channel(&error.channel_id).cloned();
                return self.forward(tunnel, FromAgent::Error(error), ctx);
            }
        };
        let stored = !matches!(report, Report::Seen(..) | Report::Sample(..));
        if stored && !self.gateway.budgets.may_report(agent_id) {
            let hint = "reports come too fast; this one was dropped".to_owned();
            return Self::send_error("too_many_reports", hint, ctx);
        }
        self.gateway.writer.do_send(report);
    }

    /// Takes a frame of the data plane. Its bytes are bounded by their window, frames without many of them counted.
    pub(super) fn on_binary(&mut self, bytes: Bytes, ctx: &mut SocketContext) {
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(error @ FrameError::TooLong(_)) => {
                tracing::debug!(%error, "an agent broke the protocol");
                return self.close(close_code::TOO_LARGE, "frame too long", ctx);
            }
            Err(error) => {
                tracing::debug!(%error, "an agent sent no frame of the data plane");
                if !self.patience.take(Instant::now()) {
                    return self.close(close_code::POLICY, "too many bad frames", ctx);
                }
                return Self::send_error("bad_frame", error.to_string(), ctx);
            }
        };
        if !self.routes.admit(&frame, Instant::now()) {
            tracing::warn!("an agent sends frames that nobody has a use for and is closed");
            return self.close(close_code::POLICY, "too many frames", ctx);
        }
        match self.routes.of_stream(frame.stream()) {
            Some(FrameRoute::Session(tunnel)) => {
                self.forward(Some(tunnel), FromAgent::Frame(frame), ctx);
            }
            Some(FrameRoute::Stream(stream)) => {
                if let Some(reset) = stream.on_frame(frame) {
                    ctx.binary(reset.encode());
                }
            }
            // The stream has ended here; what was on its way is of no use any more.
            None => self.refuse_frame(&frame, ctx),
        }
    }

    fn refuse_frame(&mut self, frame: &Frame, ctx: &mut SocketContext) {
        // Who is told so drops the stream; only bytes show that it has not. A whole window of them may be on its way
        // when a stream ends: then once is enough.
        if matches!(frame, Frame::Data { .. }) && self.budget.take(Instant::now()) {
            let reset = Frame::reset(
                frame.stream(),
                ResetCode::UnknownStream,
                "there is no such stream",
            );
            ctx.binary(reset.encode());
        }
    }

    fn on_inventory(&mut self, agent_id: AgentId, told: Inventory, ctx: &mut SocketContext) {
        if !self.gateway.budgets.may_tell_inventory(agent_id) {
            let hint = "inventories come too fast; this one was dropped".to_owned();
            return Self::send_error("inventory_too_soon", hint, ctx);
        }
        let db = self.gateway.db.clone();
        match self.gateway.inventories.take(db, agent_id, told) {
            // Not a future of the connection's: what was taken is stored even if it breaks.
            Ok(storing) => drop(actix::spawn(storing)),
            Err(_busy) => {
                let hint = "too many inventories wait; send it again in a minute".to_owned();
                Self::send_error("inventory_busy", hint, ctx);
            }
        }
    }

    /// Hands over to a session; while that has no room nothing more is read from the agent.
    fn forward(
        &mut self,
        tunnel: Option<Recipient<FromAgent>>,
        message: FromAgent,
        ctx: &mut SocketContext,
    ) {
        let Some(tunnel) = tunnel else {
            if !self.budget.take(Instant::now()) {
                return self.close(close_code::POLICY, "too many messages", ctx);
            }
            let hint = "no session has this channel".to_owned();
            return Self::send_error("unknown_channel", hint, ctx);
        };
        if let Err(SendError::Full(message)) = tunnel.try_send(message) {
            ctx.wait(tunnel.send(message).into_actor(self).map(|_, _, _| ()));
        }
    }

    /// Hands over what is said of commands; while there is no room nothing more is read.
    fn report(&mut self, report: CommandReport, ctx: &mut SocketContext) {
        let dispatcher = &self.gateway.commands;
        if let Err(SendError::Full(report)) = dispatcher.try_send(report) {
            ctx.wait(dispatcher.send(report).into_actor(self).map(|_, _, _| ()));
        }
    }
}
