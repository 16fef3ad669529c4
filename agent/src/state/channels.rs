//! What comes of data for a channel, in an open session and without one.

use gururmm_shared::{
    AgentMessage, ChannelId, Closed, CommandType, Feature, OpenChannel, OperationError, Probe,
    Reply, Request, Terminal, TunnelData, TunnelError, TunnelPayload,
};

use super::permission;
use super::step::Effect;
use super::tunnel::{Running, Tunnel};

/// Without a session everything is refused that waits for an answer.
pub(super) fn without_session(data: TunnelData) -> Vec<Effect> {
    let TunnelData { channel_id, data } = data;
    match data {
        TunnelPayload::Terminal(_) => vec![failed(channel_id, "no tunnel is open")],
        TunnelPayload::Open(_) => vec![not_opened(channel_id, permission::no_session())],
        TunnelPayload::Request(_) => vec![not_done(channel_id, permission::no_session())],
        _ => Vec::new(),
    }
}

pub(super) fn in_session(tunnel: &mut Tunnel, max_running: usize, data: TunnelData) -> Vec<Effect> {
    let TunnelData { channel_id, data } = data;
    match data {
        TunnelPayload::Terminal(terminal) => start(tunnel, max_running, channel_id, terminal),
        TunnelPayload::Open(open) => open_stream(tunnel, channel_id, open),
        TunnelPayload::Request(request) => perform(tunnel, channel_id, *request),
        TunnelPayload::Window(window) => vec![Effect::Grant(channel_id, window.limit)],
        TunnelPayload::Resize(size) if tunnel.is_terminal(&channel_id) => {
            vec![Effect::Resize(channel_id, size.clamped())]
        }
        TunnelPayload::Signal(signal) if tunnel.is_terminal(&channel_id) => {
            vec![Effect::Signal(channel_id, signal.signal)]
        }
        TunnelPayload::LaneJoined => vec![Effect::LaneJoined(channel_id)],
        TunnelPayload::Close => vec![Effect::Cancel(channel_id)],
        TunnelPayload::Probe(probe) if probe.data.len() <= Probe::MAX_BYTES => {
            vec![tell(channel_id, TunnelPayload::ProbeReply(probe))]
        }
        _ => Vec::new(),
    }
}

fn start(
    tunnel: &mut Tunnel,
    max_running: usize,
    channel: ChannelId,
    terminal: Terminal,
) -> Vec<Effect> {
    if terminal.session_id.is_some_and(|id| id != tunnel.session) {
        return vec![failed(
            channel,
            "the command is for another session than the open one",
        )];
    }
    if tunnel.knows(&channel) {
        return Vec::new();
    }
    if let Some(reason) = refuse_command(tunnel, max_running, &terminal) {
        tunnel.remember_ended(channel.clone());
        return vec![failed(channel, reason)];
    }
    tunnel.running.insert(channel.clone(), Running::Command);
    vec![Effect::Start(channel, Box::new(terminal))]
}

fn refuse_command(tunnel: &Tunnel, max_running: usize, terminal: &Terminal) -> Option<String> {
    if matches!(terminal.command_type, Some(CommandType::ClaudeTask { .. })) {
        Some("claude_task is not enabled on this agent".to_owned())
    } else if terminal.command.trim().is_empty() {
        Some("the command is empty".to_owned())
    } else if tunnel.commands() >= max_running {
        Some(format!(
            "{max_running} commands are running already, no more are allowed"
        ))
    } else {
        permission::refuse_feature(&tunnel.rules, Feature::Commands)
            .or_else(|| permission::refuse_more(tunnel))
            .map(|error| error.message)
    }
}

fn open_stream(tunnel: &mut Tunnel, channel: ChannelId, open: Box<OpenChannel>) -> Vec<Effect> {
    if tunnel.running.contains_key(&channel) {
        // A repeat, or a fault of the server: what runs under this name is not to be harmed by a
        // `closed` that is not its own.
        return Vec::new();
    }
    let refusal = permission::refuse_open(tunnel, &open).or_else(|| {
        tunnel
            .knows(&channel)
            .then(|| permission::name_taken(&channel))
    });
    if let Some(error) = refusal {
        return vec![not_opened(channel, error)];
    }
    let running = Running::of(&open.kind, open.stream);
    tunnel.running.insert(channel.clone(), running);
    vec![Effect::OpenStream(channel, open)]
}

fn perform(tunnel: &mut Tunnel, channel: ChannelId, request: Request) -> Vec<Effect> {
    let Request {
        session_id,
        operation,
    } = request;
    if tunnel.running.contains_key(&channel) {
        return Vec::new();
    }
    let refusal = permission::refuse_request(tunnel, session_id, &operation).or_else(|| {
        tunnel
            .knows(&channel)
            .then(|| permission::name_taken(&channel))
    });
    if let Some(error) = refusal {
        return vec![not_done(channel, error)];
    }
    tunnel.running.insert(channel.clone(), Running::Request);
    vec![Effect::Perform(channel, Box::new(operation))]
}

fn tell(channel_id: ChannelId, data: TunnelPayload) -> Effect {
    Effect::send(AgentMessage::TunnelData(TunnelData { channel_id, data }))
}

fn not_opened(channel: ChannelId, error: OperationError) -> Effect {
    tell(channel, TunnelPayload::Closed(Closed::failed(error)))
}

fn not_done(channel: ChannelId, error: OperationError) -> Effect {
    tell(
        channel,
        TunnelPayload::Reply(Box::new(Reply::Failed { error })),
    )
}

fn failed(channel_id: ChannelId, error: impl Into<String>) -> Effect {
    Effect::send(AgentMessage::TunnelError(TunnelError {
        channel_id,
        error: error.into(),
    }))
}
