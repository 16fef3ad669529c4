//! What is allowed in which session, and what channels are told.

use gururmm_shared::{
    ChannelKind, ErrorCode, Feature, FileRead, FileWrite, Operation, Signal, SignalName, TcpTarget,
    TerminalOptions, TerminalSize, TunnelPayload,
};

use super::tests::{
    data, error, in_tunnel, loopback, open_channel, open_with, refusal, request, shell, terminal,
};
use super::*;

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
