//! Asking who sits at the machine, as the state sees it.

use gururmm_shared::{
    AgentMessage, ConsentDefault, ConsentMode, ConsentOutcome, ConsentRequest, SessionId,
    TunnelClose, TunnelClosed, TunnelOpen, TunnelReady, UserId,
};

use super::{Effect, Event, State};

fn open(mode: ConsentMode) -> TunnelOpen {
    TunnelOpen {
        session_id: SessionId::generate(),
        tech_id: UserId::generate(),
        rules: None,
        resume_grace_seconds: None,
        consent: Some(ConsentRequest {
            mode,
            technician: "ada@example.com".to_owned(),
            timeout_seconds: 30,
            on_no_answer: ConsentDefault::Refuse,
            when_nobody_is_there: ConsentDefault::Allow,
        }),
    }
}

/// A state that asks.
fn asking(mode: ConsentMode) -> (State, SessionId) {
    let (mut state, open) = (State::new(4), open(mode));
    let session = open.session_id;
    let effects = state.on_event(Event::Open(open));
    assert!(
        matches!(&effects[..], [Effect::Ask(id, _)] if *id == session),
        "{effects:?}"
    );
    (state, session)
}

fn closed(effects: &[Effect]) -> Option<TunnelClosed> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send(message) => match &**message {
            AgentMessage::TunnelClosed(closed) => Some(closed.clone()),
            _ => None,
        },
        _ => None,
    })
}

#[test]
fn nothing_is_entered_before_the_answer_and_a_yes_is_told_with_ready() {
    let (mut state, session) = asking(ConsentMode::Required);
    let outcome = ConsentOutcome::Granted;
    let effects = state.on_event(Event::Answered(session, outcome));
    let ready = AgentMessage::TunnelReady(TunnelReady {
        session_id: session,
        consent: Some(outcome),
    });
    assert_eq!(effects, [Effect::Enter(session), Effect::send(ready)]);
}

#[test]
fn a_no_leaves_the_machine_as_it_was() {
    let (mut state, session) = asking(ConsentMode::Required);
    let effects = state.on_event(Event::Answered(session, ConsentOutcome::Refused));
    assert!(!effects.contains(&Effect::Enter(session)));
    let closed = closed(&effects).unwrap();
    assert_eq!(closed.consent, Some(ConsentOutcome::Refused));
    assert_eq!(state.session(), None);
}

#[test]
fn the_policys_defaults_decide_where_there_is_no_answer() {
    for (outcome, enters) in [
        (ConsentOutcome::NoAnswer, false),
        (ConsentOutcome::NobodyThere, true),
        (ConsentOutcome::CannotAsk, true),
    ] {
        let (mut state, session) = asking(ConsentMode::Required);
        let effects = state.on_event(Event::Answered(session, outcome));
        assert_eq!(
            effects.contains(&Effect::Enter(session)),
            enters,
            "{outcome:?}"
        );
    }
}

#[test]
fn who_gives_up_or_is_gone_is_asked_for_no_longer() {
    let (mut state, session) = asking(ConsentMode::Required);
    let close = TunnelClose {
        session_id: session,
        reason: None,
    };
    let effects = state.on_event(Event::Close(close));
    assert!(effects.contains(&Effect::StopAsking), "{effects:?}");
    assert!(closed(&effects).is_some());
    for event in [Event::ConnectionLost, Event::Stopping] {
        let (mut state, session) = asking(ConsentMode::Notice);
        assert!(state.on_event(event).contains(&Effect::StopAsking));
        let late = Event::Answered(session, ConsentOutcome::Granted);
        assert_eq!(state.on_event(late), []);
    }
}

#[test]
fn while_one_is_asked_for_another_is_refused() {
    let (mut state, _) = asking(ConsentMode::Required);
    let other = open(ConsentMode::None);
    let effects = state.on_event(Event::Open(other));
    assert!(closed(&effects).unwrap().reason.contains("busy"));
}
