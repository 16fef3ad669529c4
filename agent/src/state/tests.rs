//! Every transition of the mode.

use gururmm_shared::{
    ChannelKind, Closed, CommandType, ErrorCode, Feature, FileRead, FileWrite, OpenChannel,
    Operation, OperationError, Probe, Reply, Request, Signal, SignalName, StreamId, StreamPosition,
    TcpTarget, Terminal, TerminalOptions, TerminalSize, TunnelPayload,
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
    })
}

pub(super) fn open_with(number: u128, rules: TunnelRules, grace: u32) -> Event {
    Event::Open(TunnelOpen {
        session_id: session(number),
        tech_id: UserId(Uuid::from_u128(99)),
        rules: Some(rules),
        resume_grace_seconds: Some(grace),
    })
}

pub(super) fn resume(number: u128, streams: &[u32]) -> Event {
    Event::Resume(TunnelResume {
        session_id: session(number),
        streams: streams.iter().map(|stream| position(*stream)).collect(),
    })
}

fn position(stream: u32) -> StreamPosition {
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

fn in_tunnel() -> State {
    let mut state = State::new(2);
    state.on_event(open(1));
    state
}

/// The only effect, which must be a message.
fn sent(effects: &[Effect]) -> &AgentMessage {
    match effects {
        [Effect::Send(message)] => message,
        other => panic!("no single message: {other:?}"),
    }
}

fn refusal(effects: &[Effect]) -> &str {
    match sent(effects) {
        AgentMessage::TunnelError(error) => &error.error,
        AgentMessage::TunnelClosed(closed) => &closed.reason,
        other => panic!("no refusal: {other:?}"),
    }
}

#[test]
fn an_open_enters_the_tunnel_and_says_ready() {
    let mut state = State::new(2);
    let effects = state.on_event(open(1));
    assert_eq!(effects[0], Effect::Enter(session(1)));
    let ready = TunnelReady {
        session_id: session(1),
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

/// Why a channel was not opened or a request not done.
fn error(effects: &[Effect]) -> &OperationError {
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
fn a_channel_opens_only_in_its_own_session_and_under_a_name_and_number_of_its_own() {
    let without = error(&State::new(1).on_event(open_channel(1, 1, 1, shell()))).code;
    assert_eq!(without, ErrorCode::Gone);
    let mut state = in_tunnel();
    let other = state.on_event(open_channel(2, 1, 1, shell()));
    assert_eq!(error(&other).code, ErrorCode::NotAllowed);
    let opened = state.on_event(open_channel(1, 1, 1, shell()));
    assert!(matches!(opened[..], [Effect::OpenStream(..)]));
    assert_eq!(state.on_event(open_channel(1, 1, 1, shell())), []);
    let same_stream = state.on_event(open_channel(1, 2, 1, shell()));
    assert_eq!(error(&same_stream).code, ErrorCode::AlreadyExists);
    state.on_event(Event::ChannelEnded(ChannelId::terminal(1)));
    let same_name = state.on_event(open_channel(1, 1, 2, shell()));
    assert_eq!(error(&same_name).code, ErrorCode::AlreadyExists);
    let opened = state.on_event(open_channel(1, 3, 1, loopback()));
    assert!(matches!(opened[..], [Effect::OpenStream(..)]));
}

#[test]
fn what_the_rules_do_not_allow_is_refused() {
    let path = || "/etc/motd".to_owned();
    let write = || {
        ChannelKind::FileWrite(FileWrite {
            path: path(),
            upload: "u".to_owned(),
            offset: 0,
            size: 1,
            sha256: None,
            overwrite: false,
            mode: None,
            modified: None,
        })
    };
    let read = || {
        ChannelKind::FileRead(FileRead {
            path: path(),
            offset: 0,
            length: None,
            version: None,
        })
    };
    let delete = || Operation::FileDelete {
        path: path(),
        recursive: false,
    };
    let zsh = || {
        ChannelKind::Terminal(TerminalOptions {
            shell: Some("/bin/zsh".to_owned()),
            ..TerminalOptions::default()
        })
    };
    let elsewhere = || {
        ChannelKind::Tcp(TcpTarget {
            host: "10.0.0.1".to_owned(),
            port: 80,
        })
    };
    let none = TunnelRules {
        features: Vec::new(),
        ..TunnelRules::default()
    };
    let reading = TunnelRules {
        file_writes: false,
        ..TunnelRules::default()
    };
    let all = TunnelRules::default();
    for (rules, event, allowed) in [
        (&none, open_channel(1, 1, 1, shell()), false),
        (&none, open_channel(1, 1, 1, loopback()), false),
        (&none, open_channel(1, 1, 1, read()), false),
        (&none, request(1, 1, Operation::ServiceList), false),
        (&all, open_channel(1, 1, 1, zsh()), false),
        (&all, open_channel(1, 1, 1, elsewhere()), false),
        (&all, open_channel(1, 1, 1, write()), true),
        (&all, request(1, 1, delete()), true),
        (&reading, open_channel(1, 1, 1, read()), true),
        (&reading, open_channel(1, 1, 1, write()), false),
        (&reading, request(1, 1, delete()), false),
        (&reading, request(1, 1, Operation::ProcessList), true),
    ] {
        let mut state = State::new(1);
        state.on_event(open_with(1, rules.clone(), 0));
        let effects = state.on_event(event.clone());
        if allowed {
            assert!(
                matches!(effects[..], [Effect::OpenStream(..) | Effect::Perform(..)]),
                "{event:?}"
            );
        } else {
            assert_eq!(error(&effects).code, ErrorCode::NotAllowed, "{event:?}");
        }
    }
}

#[test]
fn commands_need_their_feature_too() {
    let mut state = State::new(1);
    let rules = TunnelRules {
        features: vec![Feature::Terminal],
        ..TunnelRules::default()
    };
    state.on_event(open_with(1, rules, 0));
    assert!(refusal(&state.on_event(terminal(1, None, "true"))).contains("policy"));
}

#[test]
fn the_number_of_channels_has_a_limit() {
    let mut state = in_tunnel();
    for number in 0..permission::CHANNELS {
        let number = u32::try_from(number).unwrap();
        state.on_event(open_channel(1, number.into(), number, loopback()));
    }
    let over = state.on_event(open_channel(1, 500, 500, loopback()));
    assert_eq!(error(&over).code, ErrorCode::TooMany);
    let over = state.on_event(request(1, 501, Operation::ServiceList));
    assert_eq!(error(&over).code, ErrorCode::TooMany);
    assert!(refusal(&state.on_event(terminal(502, None, "true"))).contains("channels"));
    state.on_event(Event::ChannelEnded(ChannelId::terminal(0)));
    let opened = state.on_event(open_channel(1, 503, 503, loopback()));
    assert!(matches!(opened[..], [Effect::OpenStream(..)]));
}

#[test]
fn sizes_and_signals_are_for_terminals_only() {
    let mut state = in_tunnel();
    state.on_event(open_channel(1, 1, 1, shell()));
    state.on_event(open_channel(1, 2, 2, loopback()));
    let resize = TunnelPayload::Resize(TerminalSize {
        cols: 0,
        rows: 2000,
    });
    let signal = TunnelPayload::Signal(Signal {
        signal: SignalName::Interrupt,
    });
    let size = TerminalSize {
        cols: 1,
        rows: 1000,
    };
    assert_eq!(
        state.on_event(data(1, resize.clone())),
        [Effect::Resize(ChannelId::terminal(1), size)]
    );
    assert_eq!(
        state.on_event(data(1, signal.clone())),
        [Effect::Signal(
            ChannelId::terminal(1),
            SignalName::Interrupt
        )]
    );
    for channel in [2, 3] {
        assert_eq!(state.on_event(data(channel, resize.clone())), []);
        assert_eq!(state.on_event(data(channel, signal.clone())), []);
    }
}

#[test]
fn with_a_grace_a_lost_connection_keeps_the_terminals_and_nothing_else() {
    let mut state = State::new(2);
    state.on_event(open_with(1, TunnelRules::default(), 30));
    assert!(state.keeps_terminals());
    state.on_event(open_channel(1, 1, 1, shell()));
    state.on_event(open_channel(1, 2, 2, loopback()));
    state.on_event(open_channel(1, 3, 3, shell()));
    state.on_event(terminal(4, None, "true"));
    state.on_event(request(1, 5, Operation::ServiceList));
    let dropped = |number| Effect::Drop(ChannelId::terminal(number));
    assert_eq!(
        state.on_event(Event::ConnectionLost),
        [dropped(2), dropped(4), dropped(5), Effect::Suspend(30)]
    );
    assert_eq!(
        state.suspended(),
        Some((session(1), UserId(Uuid::from_u128(99))))
    );
    assert_eq!(state.on_event(Event::ConnectionLost), []);
    let meanwhile = state.on_event(open_channel(1, 6, 6, shell()));
    assert_eq!(error(&meanwhile).code, ErrorCode::Gone);
    let effects = state.on_event(resume(1, &[3, 9]));
    assert!(matches!(sent(&effects[..1]), AgentMessage::TunnelReady(_)));
    assert_eq!(
        effects[1..],
        [
            dropped(1),
            Effect::Resume(vec![(ChannelId::terminal(3), position(3))])
        ]
    );
    assert_eq!(state.suspended(), None);
    // Names are the connection's.
    let again = state.on_event(open_channel(1, 2, 2, loopback()));
    assert!(matches!(again[..], [Effect::OpenStream(..)]));
}

#[test]
fn a_kept_session_ends_when_its_grace_is_over_or_another_one_comes_or_it_is_closed() {
    let kept = || {
        let mut state = State::new(2);
        state.on_event(open_with(1, TunnelRules::default(), 30));
        state.on_event(Event::ConnectionLost);
        state
    };
    let leave = Effect::Leave(session(1));
    let mut state = kept();
    assert_eq!(state.on_event(Event::GraceOver)[0], leave);
    assert_eq!(state.session(), None);
    assert_eq!(kept().on_event(close(1))[0], leave);
    assert_eq!(kept().on_event(Event::Stopping)[0], leave);
    for number in [1, 2] {
        let mut state = kept();
        let effects = state.on_event(open(number));
        assert_eq!(
            effects[..2],
            [leave.clone(), Effect::Enter(session(number))]
        );
        assert_eq!(state.session(), Some(session(number)));
    }
    let mut state = kept();
    assert_eq!(
        refusal(&state.on_event(resume(2, &[]))),
        "not open on this machine"
    );
    assert_eq!(state.session(), Some(session(1)));
    let mut state = kept();
    state.on_event(resume(1, &[]));
    assert_eq!(state.on_event(Event::GraceOver), []);
    assert_eq!(
        refusal(&State::new(1).on_event(resume(1, &[]))),
        "not open on this machine"
    );
}

#[test]
fn a_grace_without_end_is_cut() {
    let mut state = State::new(2);
    state.on_event(open_with(1, TunnelRules::default(), u32::MAX));
    assert_eq!(
        state.on_event(Event::ConnectionLost),
        [Effect::Suspend(3600)]
    );
}
