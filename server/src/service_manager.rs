//! What the service manager is told (`sd_notify(3)`): that the server is ready, lives, and stops. Without one
//! (`NOTIFY_SOCKET` is not set) nothing is told.

use std::time::Duration;

use actix::Addr;

use crate::actors::registry::AgentRegistry;
use crate::db::Db;

/// How long the registry may take to answer before the server counts as hung.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(5);
/// How long the database may take to answer, or to say that it cannot. Longer than a query waits for its
/// connection: who runs out of them for a moment is not hung.
const DATABASE_PATIENCE: Duration = Duration::from_secs(8);

#[cfg(unix)]
fn tell(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// Says that requests are taken from now on.
pub fn ready() {
    #[cfg(unix)]
    tell(&[sd_notify::NotifyState::Ready]);
}

/// Says that the server is about to end.
pub fn stopping() {
    #[cfg(unix)]
    tell(&[
        sd_notify::NotifyState::Stopping,
        sd_notify::NotifyState::Status("stopping"),
    ]);
}

/// Feeds the watchdog, twice in its time, for as long as registry and database answer: a server that hangs is then
/// ended and started anew. A database that says at once that it is away is an answer, too: to end the server
/// for that would take every agent's connection and bring nothing back.
pub async fn feed_watchdog(registry: Addr<AgentRegistry>, db: Db) {
    #[cfg(unix)]
    {
        use crate::actors::registry_messages::Count;
        use sd_notify::NotifyState;

        let Some(limit) = sd_notify::watchdog_enabled() else {
            return;
        };
        let mut ticks = tokio::time::interval((limit / 2).max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let counted = tokio::time::timeout(REGISTRY_PATIENCE, registry.send(Count)).await;
            let Ok(Ok(census)) = counted else {
                tracing::error!("the registry of agents does not answer; the watchdog is not fed");
                continue;
            };
            let Ok(pinged) = tokio::time::timeout(DATABASE_PATIENCE, db.ping()).await else {
                tracing::error!("the database neither answers nor fails; the watchdog is not fed");
                continue;
            };
            let status = match pinged {
                Ok(()) => format!("{} agents, {} sessions", census.agents, census.sessions),
                Err(_) => "the database does not answer".to_owned(),
            };
            tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
        }
    }
    #[cfg(not(unix))]
    let _ = (registry, db, REGISTRY_PATIENCE, DATABASE_PATIENCE);
}
