//! Every transition of the mode.

use gururmm_shared::{
    ChannelKind, Closed, CommandType, OpenChannel, Operation, OperationError, Probe, Reply,
    Request, StreamId, StreamPosition, TcpTarget, Terminal, TerminalOptions, TunnelPayload,
};
use uuid::Uuid;

use super::tunnel::REMEMBERED_CHANNELS;
use super::*;

pub(super) fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

pub(super) fn open(number: u128) -> Event {
    Event::Open(TunnelOpen {
        session_id: session(number),
        tech_id: UserId(Uuid::from_u128(99)),
        rules: None,
        resume_grace_seconds: None,
        consent: None,
    })
}

pub(super) fn open_with(number: u128, rules: TunnelRules, grace: u32) -> Event {
    Event::Open(TunnelOpen {
        session_id: session(number),
        tech_id: UserId(Uuid::from_u128(99)),
        rules: Some(rules),
        resume_grace_seconds: Some(grace),
        consent: None,
    })
}

pub(super) fn resume(number: u128, streams: &[u32]) -> Event {
    Event::Resume(TunnelResume {
        session_id: session(number),
        streams: streams.iter().map(|stream| position(*stream)).collect(),
    })
}

pub(super) fn position(stream: u32) -> StreamPosition {
    StreamPosition {
        stream: StreamId(stream),
        received: 7,
        limit: 9,
        sent: 0,
        first: 0,
    }
}

pub(super) fn open_channel(of: u128, channel: u64, stream: u32, kind: ChannelKind) -> Event {
    data(
        channel,
        TunnelPayload::Open(Box::new(OpenChannel {
            session_id: session(of),
            stream: StreamId(stream),
            window: 1000,
            kind,
            lane: None,
        })),
    )
}

pub(super) fn shell() -> ChannelKind {
    ChannelKind::Terminal(TerminalOptions::default())
}

pub(super) fn loopback() -> ChannelKind {
    ChannelKind::Tcp(TcpTarget {
        host: "127.0.0.1".to_owned(),
        port: 80,
    })
}

pub(super) fn request(of: u128, channel: u64, operation: Operation) -> Event {
    data(
        channel,
        TunnelPayload::Request(Box::new(Request {
            session_id: session(of),
            operation,
        })),
    )
}

pub(super) fn close(number: u128) -> Event {
    Event::Close(TunnelClose {
        session_id: session(number),
        reason: None,
    })
}

pub(super) fn terminal(channel: u64, of: Option<u128>, command: &str) -> Event {
    data(
        channel,
        TunnelPayload::Terminal(Terminal {
            command: command.to_owned(),
            command_type: None,
            command_id: None,
            session_id: of.map(session),
            timeout_seconds: None,
            window: None,
        }),
    )
}

pub(super) fn data(channel: u64, data: TunnelPayload) -> Event {
    Event::Data(TunnelData {
        channel_id: ChannelId::terminal(channel),
        data,
    })
}

pub(super) fn in_tunnel() -> State {
    let mut state = State::new(2);
    state.on_event(open(1));
    state
}

/// The only effect, which must be a message.
pub(super) fn sent(effects: &[Effect]) -> &AgentMessage {
    match effects {
        [Effect::Send(message)] => message,
        other => panic!("no single message: {other:?}"),
    }
}

pub(super) fn refusal(effects: &[Effect]) -> &str {
    match sent(effects) {
        AgentMessage::TunnelError(error) => &error.error,
        AgentMessage::TunnelClosed(closed) => &closed.reason,
        other => panic!("no refusal: {other:?}"),
    }
}

/// Why a channel was not opened or a request not done.
pub(super) fn error(effects: &[Effect]) -> &OperationError {
    let AgentMessage::TunnelData(told) = sent(effects) else {
        panic!("no word to a channel: {effects:?}")
    };
    match &told.data {
        TunnelPayload::Closed(Closed {
            error: Some(error), ..
        }) => error,
        TunnelPayload::Reply(reply) => match &**reply {
            Reply::Failed { error } => error,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_open_enters_the_tunnel_and_says_ready() {
    let mut state = State::new(2);
    let effects = state.on_event(open(1));
    assert_eq!(effects[0], Effect::Enter(session(1)));
    let ready = TunnelReady {
        session_id: session(1),
        consent: None,
    };
    assert_eq!(sent(&effects[1..]), &AgentMessage::TunnelReady(ready));
    assert_eq!(state.session(), Some(session(1)));
    assert_eq!(state.technician(), Some(UserId(Uuid::from_u128(99))));
}

#[test]
fn a_second_open_of_another_session_is_refused_and_harms_nothing() {
    let mut state = in_tunnel();
    let before = state.clone();
    assert!(refusal(&state.on_event(open(2))).starts_with("busy"));
    assert_eq!(state, before);
}

#[test]
fn a_repeated_open_of_the_same_session_is_ready_again() {
    let mut state = in_tunnel();
    let effects = state.on_event(open(1));
    assert!(matches!(sent(&effects), AgentMessage::TunnelReady(_)));
}

#[test]
fn a_close_leaves_before_it_answers() {
    let mut state = in_tunnel();
    let effects = state.on_event(close(1));
    assert_eq!(effects[0], Effect::Leave(session(1)));
    assert_eq!(refusal(&effects[1..]), "closed");
    assert_eq!(state.session(), None);
}

#[test]
fn a_close_of_a_session_that_is_not_open_is_answered_and_harms_nothing() {
    let mut state = in_tunnel();
    assert_eq!(
        refusal(&state.on_event(close(2))),
        "not open on this machine"
    );
    assert_eq!(state.session(), Some(session(1)));
    assert_eq!(
        refusal(&State::new(1).on_event(close(1))),
        "not open on this machine"
    );
}

#[test]
fn a_lost_connection_leaves_without_a_word_and_stopping_says_so() {
    let mut state = in_tunnel();
    assert_eq!(
        state.on_event(Event::ConnectionLost),
        [Effect::Leave(session(1))]
    );
    let mut state = in_tunnel();
    assert_eq!(state.on_event(Event::Stopping).len(), 2);
    assert_eq!(state.on_event(Event::Stopping), []);
    assert_eq!(state.on_event(Event::ConnectionLost), []);
}

#[test]
fn a_failed_entry_refuses_the_session() {
    let mut state = in_tunnel();
    assert_eq!(
        refusal(&state.on_event(Event::EntryFailed("no guard".to_owned()))),
        "no guard"
    );
    assert_eq!(state.session(), None);
}

#[test]
fn a_command_runs_only_in_its_own_session() {
    assert_eq!(
        refusal(&State::new(1).on_event(terminal(1, None, "true"))),
        "no tunnel is open"
    );
    let mut state = in_tunnel();
    assert!(refusal(&state.on_event(terminal(1, Some(2), "true"))).contains("another session"));
    assert!(matches!(
        state.on_event(terminal(1, Some(1), "true"))[..],
        [Effect::Start(..)]
    ));
    assert!(matches!(
        state.on_event(terminal(2, None, "true"))[..],
        [Effect::Start(..)]
    ));
}

#[test]
fn a_repeated_command_is_run_at_most_once() {
    let mut state = in_tunnel();
    state.on_event(terminal(1, None, "true"));
    assert_eq!(state.on_event(terminal(1, None, "true")), []);
    state.on_event(Event::ChannelEnded(ChannelId::terminal(1)));
    assert_eq!(state.on_event(terminal(1, None, "true")), []);
    assert!(refusal(&state.on_event(terminal(2, None, " "))).contains("empty"));
    assert_eq!(state.on_event(terminal(2, None, "true")), []);
}

#[test]
fn more_commands_than_allowed_at_once_are_refused() {
    let mut state = in_tunnel();
    state.on_event(terminal(1, None, "true"));
    state.on_event(terminal(2, None, "true"));
    assert!(refusal(&state.on_event(terminal(3, None, "true"))).starts_with("2 commands"));
    state.on_event(Event::ChannelEnded(ChannelId::terminal(1)));
    assert!(matches!(
        state.on_event(terminal(4, None, "true"))[..],
        [Effect::Start(..)]
    ));
}

#[test]
fn a_claude_task_is_refused() {
    let mut state = in_tunnel();
    let task = CommandType::ClaudeTask {
        task: "x".to_owned(),
        working_directory: None,
        context_files: Vec::new(),
    };
    let Event::Data(mut order) = terminal(1, None, "x") else {
        unreachable!()
    };
    if let TunnelPayload::Terminal(terminal) = &mut order.data {
        terminal.command_type = Some(task);
    }
    assert_eq!(
        refusal(&state.on_event(Event::Data(order))),
        "claude_task is not enabled on this agent"
    );
}

#[test]
fn a_probe_comes_back_and_one_that_is_too_long_does_not() {
    let mut state = in_tunnel();
    let probe = |bytes: usize| {
        TunnelPayload::Probe(Probe {
            data: "x".repeat(bytes),
        })
    };
    let effects = state.on_event(data(7, probe(Probe::MAX_BYTES)));
    let AgentMessage::TunnelData(reply) = sent(&effects) else {
        panic!("no reply")
    };
    assert!(matches!(reply.data, TunnelPayload::ProbeReply(_)));
    assert_eq!(state.on_event(data(7, probe(Probe::MAX_BYTES + 1))), []);
    assert_eq!(State::new(1).on_event(data(7, probe(1))), []);
}

#[test]
fn ended_channels_are_remembered_up_to_a_bound() {
    let mut state = in_tunnel();
    for number in 0..2 * REMEMBERED_CHANNELS as u64 {
        state.on_event(terminal(number, None, "true"));
        state.on_event(Event::ChannelEnded(ChannelId::terminal(number)));
    }
    let Mode::Tunnel(tunnel) = &state.mode else {
        panic!("still in the tunnel")
    };
    assert_eq!(tunnel.ended.len(), REMEMBERED_CHANNELS);
}
