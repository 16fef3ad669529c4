//! Seals the audit while the server runs: every second what has come since, and the last of it when
//! the server stops.

use std::time::Duration;

use actix::prelude::*;

use crate::services::audit_seal::Sealer;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two batches of what is much: others write too.
const PAUSE: Duration = Duration::from_millis(20);

/// Seal everything that is there, now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SealAll;

/// The actor.
pub struct AuditSealer {
    sealer: Sealer,
    working: bool,
    failing: bool,
}

impl AuditSealer {
    /// One for this chain.
    #[must_use]
    pub fn new(sealer: Sealer) -> Self {
        Self {
            sealer,
            working: false,
            failing: false,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.working {
            return;
        }
        self.working = true;
        let work = seal_all(self.sealer.clone());
        ctx.spawn(work.into_actor(self).map(|result, act, _| {
            act.working = false;
            match result {
                Ok(()) => act.failing = false,
                // Once in a row: it is tried again every second.
                Err(error) if !act.failing => {
                    act.failing = true;
                    tracing::error!(%error, "the audit could not be sealed; it is tried again");
                }
                Err(_) => {}
            }
        }));
    }
}

async fn seal_all(sealer: Sealer) -> Result<(), crate::services::audit_seal::SealError> {
    while sealer.step().await? {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

impl Actor for AuditSealer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(INTERVAL, Self::look);
    }
}

impl Supervised for AuditSealer {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.working = false;
    }
}

impl Handler<SealAll> for AuditSealer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: SealAll, _: &mut Self::Context) -> Self::Result {
        let sealer = self.sealer.clone();
        Box::pin(async move {
            // A look that runs has taken some: the second try takes the rest.
            for _ in 0..2 {
                match seal_all(sealer.clone()).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, "the audit could not be sealed"),
                }
            }
        })
    }
}
