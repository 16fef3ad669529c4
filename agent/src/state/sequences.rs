//! All short sequences of events: never two sessions, nothing runs outside of one or while its
//! connection is lost, nothing runs twice, and what goes on over a new connection is what was kept.

use std::collections::HashSet;

use gururmm_shared::{Operation, OutputWindow, TunnelPayload};

use super::tests::{
    close, data, loopback, open, open_channel, open_with, request, resume, shell, terminal,
};
use super::*;

/// Follows every effect and checks that what the outside sees stays sane.
#[derive(Clone, Default)]
struct World {
    entered: Option<SessionId>,
    suspended: bool,
    started: HashSet<ChannelId>,
    /// Terminals that were neither ended nor dropped.
    terminals: HashSet<ChannelId>,
    /// Everything else in that state.
    others: HashSet<ChannelId>,
}

impl World {
    fn run(&mut self, channel: ChannelId, is_terminal: bool) {
        assert!(
            self.entered.is_some() && !self.suspended,
            "outside a session"
        );
        assert!(self.started.insert(channel.clone()), "ran twice");
        let running = if is_terminal {
            &mut self.terminals
        } else {
            &mut self.others
        };
        running.insert(channel);
    }

    fn end(&mut self, channel: &ChannelId) {
        self.terminals.remove(channel);
        self.others.remove(channel);
        if self.suspended {
            self.started.remove(channel);
        }
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Enter(id) => {
                    assert_eq!(self.entered.replace(id), None, "two sessions at once");
                }
                Effect::Leave(id) => {
                    assert_eq!(self.entered.take(), Some(id), "left what was not entered");
                    *self = Self::default();
                }
                Effect::Start(channel, _) | Effect::Perform(channel, _) => {
                    self.run(channel, false);
                }
                Effect::OpenStream(channel, open) => {
                    let is_terminal = matches!(open.kind, gururmm_shared::ChannelKind::Terminal(_));
                    self.run(channel, is_terminal);
                }
                Effect::Drop(channel) => self.end(&channel),
                Effect::Suspend(_) => {
                    assert!(!self.suspended, "suspended twice");
                    assert!(self.others.is_empty(), "only terminals are kept");
                    self.suspended = true;
                    // The next connection has names of its own.
                    self.started = self.terminals.clone();
                }
                Effect::Resume(resumed) => {
                    assert!(self.suspended, "resumed what was not suspended");
                    let resumed: HashSet<_> =
                        resumed.into_iter().map(|(channel, _)| channel).collect();
                    assert_eq!(
                        resumed, self.terminals,
                        "kept, but neither resumed nor dropped"
                    );
                    self.suspended = false;
                }
                Effect::Send(_)
                | Effect::Ask(..)
                | Effect::StopAsking
                | Effect::LaneJoined(_)
                | Effect::Grant(..)
                | Effect::Resize(..)
                | Effect::Signal(..)
                | Effect::Cancel(_) => {}
            }
        }
    }
}

fn follow(events: &[Event], depth: u32) {
    let mut reached = vec![(State::new(1), World::default())];
    for _depth in 0..depth {
        let mut next = Vec::new();
        for (state, world) in &reached {
            for event in events {
                let (mut state, mut world) = (state.clone(), world.clone());
                if let Event::ChannelEnded(channel) = event {
                    world.end(channel);
                }
                world.apply(state.on_event(event.clone()));
                assert_eq!(state.session(), world.entered);
                assert_eq!(state.suspended().is_some(), world.suspended);
                next.push((state, world));
            }
        }
        reached = next;
    }
}

#[test]
fn no_short_sequence_of_events_opens_two_sessions_or_runs_a_command_twice() {
    follow(
        &[
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
        ],
        5,
    );
}

#[test]
fn no_short_sequence_of_events_loses_a_kept_terminal_or_keeps_anything_else() {
    let mut reached_by = vec![open_with(1, TunnelRules::default(), 30)];
    reached_by.extend([
        open(2),
        open_channel(1, 1, 1, shell()),
        open_channel(1, 2, 2, shell()),
        open_channel(1, 3, 3, loopback()),
        request(1, 4, Operation::ServiceList),
        Event::ChannelEnded(ChannelId::terminal(1)),
        resume(1, &[1]),
        resume(1, &[1, 2, 3]),
        close(1),
        Event::ConnectionLost,
        Event::GraceOver,
    ]);
    follow(&reached_by, 5);
}
