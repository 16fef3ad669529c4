//! All short sequences of events: never two sessions, no command outside of one, none run twice.

use gururmm_shared::OutputWindow;

use super::tests::{close, data, open, terminal};
use super::*;

/// Follows every effect and checks that what the outside sees stays sane.
#[derive(Clone, Default)]
struct World {
    entered: Option<SessionId>,
    started: HashSet<ChannelId>,
}

impl World {
    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Enter(id) => {
                    assert_eq!(self.entered.replace(id), None, "two sessions at once");
                }
                Effect::Leave(id) => {
                    assert_eq!(self.entered.take(), Some(id), "left what was not entered");
                    self.started.clear();
                }
                Effect::Start(channel, _) => {
                    assert!(self.entered.is_some(), "a command outside a session");
                    assert!(self.started.insert(channel), "a command ran twice");
                }
                Effect::Send(_) | Effect::Grant(..) | Effect::Cancel(_) => {}
            }
        }
    }
}

#[test]
fn no_short_sequence_of_events_opens_two_sessions_or_runs_a_command_twice() {
    let events = [
        open(1),
        open(2),
        close(1),
        close(2),
        terminal(1, None, "true"),
        terminal(1, Some(2), "true"),
        terminal(2, Some(1), "true"),
        Event::ChannelEnded(ChannelId::terminal(1)),
        data(1, TunnelPayload::Window(OutputWindow { limit: 9 })),
        data(1, TunnelPayload::Close),
        Event::ConnectionLost,
        Event::Stopping,
    ];
    let mut reached = vec![(State::new(1), World::default())];
    for _depth in 0..5 {
        let mut next = Vec::new();
        for (state, world) in &reached {
            for event in &events {
                let (mut state, mut world) = (state.clone(), world.clone());
                world.apply(state.on_event(event.clone()));
                assert_eq!(state.session(), world.entered);
                next.push((state, world));
            }
        }
        reached = next;
    }
}
