//! Keeps a viewer connected: one connection after the other, each with a ticket of its own, until the session is over
//! or the patience is.

use std::sync::Arc;
use std::time::Duration;

use gururmm_shared::ChannelId;
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::ViewerOptions;
use super::board::Board;
use super::connection::{Parting, carry};
use super::link_state::LinkState;
use super::outbox::Outgoing;
use crate::client::{ClientError, SessionClient, Socket};

/// The first and the longest wait between two tries.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The task that owns a viewer's connections.
pub(super) struct Link {
    session: SessionClient,
    board: Arc<Board>,
    queue: mpsc::Receiver<Outgoing>,
    options: ViewerOptions,
    viewer: Uuid,
}

impl Link {
    pub fn new(
        session: SessionClient,
        board: Arc<Board>,
        queue: mpsc::Receiver<Outgoing>,
        options: ViewerOptions,
        viewer: Uuid,
    ) -> Self {
        for (channel, offset) in &options.from {
            board.text(channel).begin_at(*offset);
        }
        Self {
            session,
            board,
            queue,
            options,
            viewer,
        }
    }

    /// Opens a connection that goes on where the last one stopped.
    pub async fn dial(&self) -> Result<Socket, ClientError> {
        let query = query(self.viewer, &self.board.positions());
        self.session.stream(&query, self.options.read_only).await
    }

    pub async fn run(mut self, first: Socket) {
        let mut socket = first;
        loop {
            let parting = carry(&self.board, socket, &mut self.queue).await;
            self.board.detach();
            let why = match parting {
                Parting::Over { reason } => {
                    return self.finish(LinkState::Closed { reason });
                }
                Parting::Lost { why } => why,
            };
            self.board.set_state(LinkState::Reconnecting { why });
            match self.come_back().await {
                Ok(again) => socket = again,
                Err(error) => return self.finish(ended(error)),
            }
        }
    }

    /// Tries until a connection stands.
    async fn come_back(&self) -> Result<Socket, ClientError> {
        let begun = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            match self.dial().await {
                Ok(socket) => return Ok(socket),
                Err(error) if !error.is_passing() => return Err(error),
                Err(error) if begun.elapsed() >= self.options.patience => {
                    return Err(ClientError::Lost(error.to_string()));
                }
                Err(_) => {}
            }
            // Jitter, so that all viewers of a restarted server do not come at once.
            let jitter = rand::rng().random_range(0.5..=1.0);
            tokio::time::sleep(wait.mul_f64(jitter)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn finish(&self, state: LinkState) {
        let why = state.error().map(|error| error.to_string());
        self.board.set_state(state);
        self.board
            .end(why.as_deref().unwrap_or("the session is over"));
    }
}

/// What an answer that is final means.
fn ended(error: ClientError) -> LinkState {
    match error {
        ClientError::Refused(problem)
            if problem.status == 404 || problem.code == "session_closed" =>
        {
            LinkState::Closed {
                reason: "session_closed".to_owned(),
            }
        }
        error => LinkState::Failed(error),
    }
}

fn query(viewer: Uuid, positions: &[(ChannelId, u64)]) -> String {
    let mut query = format!("protocol=2&viewer={viewer}");
    for (channel, offset) in positions {
        // A channel's name needs no escape in a query.
        query += &format!("&from.{channel}={offset}");
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_says_where_each_channel_goes_on() {
        let channel = ChannelId::terminal(3);
        let text = query(Uuid::nil(), &[(channel, 17)]);
        assert_eq!(
            text,
            "protocol=2&viewer=00000000-0000-0000-0000-000000000000&from.terminal-3=17"
        );
    }

    #[test]
    fn a_session_that_is_gone_is_no_failure_of_the_line() {
        let gone = ClientError::Refused(crate::client::Problem {
            status: 409,
            code: "session_closed".to_owned(),
            detail: String::new(),
            field: None,
        });
        assert!(matches!(ended(gone), LinkState::Closed { .. }));
    }
}
