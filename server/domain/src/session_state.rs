//! The life of a tunnel session.
//!
//! ```text
//!   Opening ──row written──▶ Active ──agent ready──▶ Ready
//!    │  │                      │                       │ close, idle, revoked, …
//!    │  │ close, agent gone    │ close, timed out      ▼
//!    │  ▼                      ├─────────────────▶ Closing ──agent left, timed out──▶ Ending
//!    │ Doomed ──row written────┼──────────────────────────────────────────────────────▶ │
//!    │  │                      └──refused, agent gone─────────────────────────────────▶ │ row closed
//!    └──┴──row refused──▶ Ended ◀──────────────────────────────────────────────────────┘
//!
//!   Ready ──agent lost, within its grace──▶ Suspended ──agent back──▶ Ready
//!                                               └──grace over, close, agent gone──▶ Ending
//! ```
//!
//! The step is pure: an event gives effects, and the session's actor carries them out in order.

use super::close_reason::CloseReason;

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its row is being written.
    Opening,
    /// It is to end as soon as its row is written: a row must not be closed before it is there.
    Doomed(CloseReason),
    /// The agent was asked.
    Active,
    /// The agent is in tunnel mode for it.
    Ready,
    /// The agent's connection is lost, and the session waits for another one.
    Suspended,
    /// The agent was told to leave.
    Closing(CloseReason),
    /// Its row is being closed.
    Ending(CloseReason),
    /// It is over.
    Ended(CloseReason),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Session and audit are committed.
    RowWritten,
    /// They are not, and will not be.
    RowRefused,
    /// The agent says that it is ready.
    AgentReady,
    /// The agent says that it refuses or has left.
    AgentLeft,
    /// Who sits at the machine did not agree, or nobody could be asked.
    NotAgreed,
    /// The agent did not answer the open in time.
    OpenTimedOut,
    /// It is to end.
    Close(CloseReason),
    /// The agent did not confirm the close in time.
    CloseTimedOut,
    /// The agent's connection is gone.
    AgentGone,
    /// The agent's connection is gone, and it may come back to the session.
    AgentLost,
    /// The agent is back, and has kept the session.
    AgentBack,
    /// The agent did not come back in time.
    GraceOver,
    /// The server stops, and the next one may go on with the session.
    ServerStops,
    /// The end is committed.
    RowClosed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Send `tunnel_open` and start its time-out.
    AskAgent,
    /// Write that it is ready, then answer the one who opened it.
    AnnounceReady,
    /// Wait for the agent, for as long as its grace is.
    AwaitAgent,
    /// Go on over the agent's new connection.
    GoOn,
    /// Stop, and leave the session as it is for the next server.
    Leave,
    /// Write the audit of the close, send `tunnel_close` and start its time-out.
    TellAgentToClose(CloseReason),
    /// Settle what still runs and close the row.
    WriteEnd(CloseReason),
    /// Tell viewers and whoever waits, then stop.
    Finish(CloseReason),
}

/// The state machine.
#[derive(Debug)]
pub struct SessionState {
    phase: Phase,
}

impl Default for SessionState {
    fn default() -> Self {
        Self {
            phase: Phase::Opening,
        }
    }
}

impl SessionState {
    /// A session of an earlier run of the server, which waits for its agent.
    #[must_use]
    pub fn left_open() -> Self {
        Self {
            phase: Phase::Suspended,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The status as the database and the API write it.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.phase {
            Phase::Opening | Phase::Doomed(_) | Phase::Active => "active",
            Phase::Ready | Phase::Suspended | Phase::Closing(_) | Phase::Ending(_) => "ready",
            Phase::Ended(reason) => reason.status(),
        }
    }

    /// Takes one step.
    pub fn on_event(&mut self, event: Event) -> Vec<Effect> {
        match (self.phase, event) {
            (Phase::Opening, Event::RowWritten) => {
                self.phase = Phase::Active;
                vec![Effect::AskAgent]
            }
            (Phase::Doomed(reason), Event::RowWritten) => self.end(reason),
            (Phase::Opening | Phase::Doomed(_), Event::RowRefused) => {
                self.phase = Phase::Ended(CloseReason::NotOpened);
                vec![Effect::Finish(CloseReason::NotOpened)]
            }
            (Phase::Opening, Event::Close(reason)) => self.doom(reason),
            (Phase::Opening, Event::AgentGone) => self.doom(CloseReason::AgentDisconnected),
            (Phase::Active, Event::AgentReady) => {
                self.phase = Phase::Ready;
                vec![Effect::AnnounceReady]
            }
            (Phase::Active, Event::AgentLeft) => self.end(CloseReason::AgentRefused),
            (Phase::Active, Event::NotAgreed) => self.end(CloseReason::NoConsent),
            (Phase::Active, Event::OpenTimedOut) => self.close(CloseReason::OpenTimedOut),
            (Phase::Ready, Event::AgentLost) => {
                self.phase = Phase::Suspended;
                vec![Effect::AwaitAgent]
            }
            (Phase::Suspended, Event::AgentBack) => {
                self.phase = Phase::Ready;
                vec![Effect::GoOn]
            }
            (Phase::Suspended, Event::GraceOver | Event::AgentGone) => {
                self.end(CloseReason::AgentDisconnected)
            }
            (Phase::Ready | Phase::Suspended, Event::ServerStops) => {
                self.phase = Phase::Ended(CloseReason::ServerStopped);
                vec![Effect::Leave]
            }
            // There is no agent to be told.
            (Phase::Suspended, Event::Close(reason)) => self.end(reason),
            (Phase::Ready, Event::AgentLeft) => self.end(CloseReason::AgentClosed),
            (Phase::Active | Phase::Ready, Event::Close(reason)) => self.close(reason),
            (Phase::Active | Phase::Ready, Event::AgentGone) => {
                self.end(CloseReason::AgentDisconnected)
            }
            (
                Phase::Closing(reason),
                Event::AgentLeft | Event::CloseTimedOut | Event::AgentGone,
            ) => self.end(reason),
            (Phase::Ending(reason), Event::RowClosed) => {
                self.phase = Phase::Ended(reason);
                vec![Effect::Finish(reason)]
            }
            _ => Vec::new(),
        }
    }

    fn doom(&mut self, reason: CloseReason) -> Vec<Effect> {
        self.phase = Phase::Doomed(reason);
        Vec::new()
    }

    fn close(&mut self, reason: CloseReason) -> Vec<Effect> {
        self.phase = Phase::Closing(reason);
        vec![Effect::TellAgentToClose(reason)]
    }

    fn end(&mut self, reason: CloseReason) -> Vec<Effect> {
        self.phase = Phase::Ending(reason);
        vec![Effect::WriteEnd(reason)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(events: &[Event]) -> (Phase, Vec<Effect>) {
        let mut state = SessionState::default();
        let effects = events
            .iter()
            .flat_map(|&event| state.on_event(event))
            .collect();
        (state.phase(), effects)
    }

    #[test]
    fn a_session_opens_and_closes() {
        let reason = CloseReason::ClosedByTechnician;
        let (phase, effects) = run(&[
            Event::RowWritten,
            Event::AgentReady,
            Event::Close(reason),
            Event::AgentLeft,
            Event::RowClosed,
        ]);
        assert_eq!(phase, Phase::Ended(reason));
        assert_eq!(
            effects,
            [
                Effect::AskAgent,
                Effect::AnnounceReady,
                Effect::TellAgentToClose(reason),
                Effect::WriteEnd(reason),
                Effect::Finish(reason)
            ]
        );
    }

    #[test]
    fn an_agent_that_does_not_answer_ends_the_session_as_error() {
        let (phase, _) = run(&[
            Event::RowWritten,
            Event::OpenTimedOut,
            Event::AgentReady,
            Event::CloseTimedOut,
            Event::RowClosed,
        ]);
        assert_eq!(phase, Phase::Ended(CloseReason::OpenTimedOut));
        assert_eq!(CloseReason::OpenTimedOut.status(), "error");
    }

    #[test]
    fn a_refusal_ends_the_session_as_error() {
        let (phase, _) = run(&[Event::RowWritten, Event::AgentLeft, Event::RowClosed]);
        assert_eq!(phase, Phase::Ended(CloseReason::AgentRefused));
        assert_eq!(CloseReason::AgentRefused.status(), "error");
    }

    #[test]
    fn an_agent_that_goes_ends_the_session_without_being_asked() {
        let (phase, effects) = run(&[
            Event::RowWritten,
            Event::AgentReady,
            Event::AgentGone,
            Event::RowClosed,
        ]);
        assert_eq!(phase, Phase::Ended(CloseReason::AgentDisconnected));
        assert!(
            !effects
                .iter()
                .any(|e| matches!(e, Effect::TellAgentToClose(_)))
        );
    }

    #[test]
    fn a_row_is_never_closed_before_it_is_written() {
        let (phase, effects) = run(&[Event::AgentGone]);
        assert_eq!(phase, Phase::Doomed(CloseReason::AgentDisconnected));
        assert_eq!(effects, []);
        let (_, effects) = run(&[Event::AgentGone, Event::RowWritten]);
        assert_eq!(effects, [Effect::WriteEnd(CloseReason::AgentDisconnected)]);
    }

    #[test]
    fn a_session_without_a_row_ends_at_once() {
        let (phase, effects) = run(&[Event::RowRefused, Event::RowWritten]);
        assert_eq!(phase, Phase::Ended(CloseReason::NotOpened));
        assert_eq!(effects, [Effect::Finish(CloseReason::NotOpened)]);
    }

    #[test]
    fn a_session_outlives_a_lost_agent_that_comes_back_and_no_other() {
        let open = [Event::RowWritten, Event::AgentReady, Event::AgentLost];
        let after = |event| {
            let mut state = SessionState::default();
            for event in open {
                state.on_event(event);
            }
            assert_eq!((state.phase(), state.status()), (Phase::Suspended, "ready"));
            (state.on_event(event), state.phase())
        };
        assert_eq!(after(Event::AgentBack), (vec![Effect::GoOn], Phase::Ready));
        let lost = CloseReason::AgentDisconnected;
        for event in [Event::GraceOver, Event::AgentGone] {
            assert_eq!(
                after(event),
                (vec![Effect::WriteEnd(lost)], Phase::Ending(lost))
            );
        }
        let closed = CloseReason::ClosedByTechnician;
        let (effects, _) = after(Event::Close(closed));
        assert_eq!(effects, [Effect::WriteEnd(closed)]);
        assert_eq!(after(Event::AgentLost).0, []);
        assert_eq!(after(Event::ServerStops).0, [Effect::Leave]);
    }

    #[test]
    fn any_order_of_events_ends_each_session_at_most_once_and_asks_the_agent_at_most_once() {
        const EVENTS: [Event; 14] = [
            Event::RowWritten,
            Event::RowRefused,
            Event::AgentReady,
            Event::AgentLeft,
            Event::NotAgreed,
            Event::OpenTimedOut,
            Event::Close(CloseReason::IdleTimeout),
            Event::CloseTimedOut,
            Event::AgentGone,
            Event::AgentLost,
            Event::AgentBack,
            Event::GraceOver,
            Event::ServerStops,
            Event::RowClosed,
        ];
        let sequences = EVENTS.len().pow(5);
        for mut number in 0..sequences {
            let mut events = Vec::with_capacity(5);
            for _ in 0..5 {
                events.push(EVENTS[number % EVENTS.len()]);
                number /= EVENTS.len();
            }
            let (_, effects) = run(&events);
            let count = |f: fn(&Effect) -> bool| effects.iter().filter(|e| f(e)).count();
            assert!(count(|e| matches!(e, Effect::AskAgent)) <= 1, "{events:?}");
            assert!(
                count(|e| matches!(e, Effect::WriteEnd(_))) <= 1,
                "{events:?}"
            );
            let over = count(|e| matches!(e, Effect::Finish(_) | Effect::Leave));
            assert!(over <= 1, "{events:?}");
        }
    }
}
