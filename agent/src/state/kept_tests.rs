//! Sessions that outlive their connection.

use gururmm_shared::{ErrorCode, Operation};
use uuid::Uuid;

use super::tests::{
    close, error, loopback, open, open_channel, open_with, position, refusal, request, resume,
    sent, session, shell, terminal,
};
use super::*;

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
