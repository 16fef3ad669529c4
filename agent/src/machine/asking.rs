//! The question that is put to who sits at the machine while nothing else waits for the answer.

use std::sync::Arc;

use gururmm_shared::{ConsentOutcome, ConsentRequest, SessionId};
use tokio::task::JoinHandle;

use crate::consent::Asker;

/// The question of one session, if there is one.
#[derive(Debug)]
pub struct Asking {
    asker: Arc<Asker>,
    question: Option<(SessionId, JoinHandle<ConsentOutcome>)>,
}

impl Asking {
    /// Nobody is asked yet.
    pub fn new(asker: Asker) -> Self {
        Self {
            asker: Arc::new(asker),
            question: None,
        }
    }

    /// Begins to ask.
    pub fn begin(&mut self, session: SessionId, request: ConsentRequest) {
        self.stop();
        let asker = Arc::clone(&self.asker);
        tracing::info!(session.id = %session, mode = ?request.mode, "who sits at the machine is asked about a tunnel");
        let question = tokio::spawn(async move { asker.ask(&request).await });
        self.question = Some((session, question));
    }

    /// Asks no longer; what was shown goes away.
    pub fn stop(&mut self) {
        if let Some((_, question)) = self.question.take() {
            question.abort();
        }
    }

    /// Waits for an answer; for ever, where nobody is asked. Cancel safe.
    pub async fn answer(&mut self) -> (SessionId, ConsentOutcome) {
        let Some((session, question)) = &mut self.question else {
            return std::future::pending().await;
        };
        let session = *session;
        let answered = question.await;
        self.question = None;
        let outcome = answered.unwrap_or_else(|error| {
            tracing::error!(%error, "the question to who sits at the machine has failed");
            ConsentOutcome::CannotAsk
        });
        tracing::info!(session.id = %session, outcome = outcome.name(), "who sits at the machine was asked about a tunnel");
        (session, outcome)
    }
}
