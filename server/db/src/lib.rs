//! The database: all SQL of the server and nothing else. One file a table; beside them the two
//! kinds of pools, the macros that write a query once for both, and the portable SQL types. Owns no
//! rule of the product beyond what keys, checks and transactions can hold.

#[macro_use]
mod macros;
#[macro_use]
mod within;

pub mod agent_state;
pub mod agent_updates;
pub mod agents;
pub mod alerts;
pub mod api_keys;
pub mod approvals;
pub mod audit_acts;
pub mod audit_chain;
pub mod audit_log;
pub mod clients;
pub mod commands;
pub mod deliveries;
mod error;
pub mod figures;
pub mod idempotency_keys;
pub mod inventory;
pub mod jobs;
pub mod maintenance;
pub mod metrics;
pub mod metrics_history;
pub mod metrics_rollups;
mod migrate;
pub mod news;
pub mod notifications;
pub mod page;
pub mod places;
pub mod policies;
mod pools;
mod postgres;
pub mod recordings;
pub mod registration_tokens;
pub mod releases;
pub mod removal;
pub mod retention;
pub mod rollouts;
pub mod schedules;
mod schema;
pub mod scripts;
mod settings;
pub mod sites;
mod sqlite;
pub mod tech_sessions;
pub mod tunnel_audit;
pub mod types;
pub mod users;
pub mod watchdog_events;

#[cfg(feature = "testing")]
pub mod testing;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

pub use error::DbError;
pub use settings::{DatabaseKind, DatabaseSettings};

use pools::Pools;
use settings::Target;

/// The longest that an operation may take, its waits for a connection included.
const OPERATION_LIMIT: Duration = Duration::from_secs(30);

/// The longest that an attempt to reach the database at start may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// A handle to the database; clones share its connections and its threads.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    pools: Pools,
    target: Target,
    runtime: OwnRuntime,
}

/// The threads that every query runs on. Dropping a query's future on a thread of actix would
/// panic (SQLite's wrapper blocks there), so none ever lives on one.
struct OwnRuntime(Option<Runtime>, Handle);

impl OwnRuntime {
    fn start() -> Result<Self, DbError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("gururmm-db")
            .enable_all()
            .build()
            .map_err(|error| {
                DbError::Other(format!("cannot start the database's threads: {error}"))
            })?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Not by its own drop, which blocks and panics inside of async code.
            runtime.shutdown_background();
        }
    }
}

impl Db {
    /// Opens the database that the settings name; a missing SQLite file is made, with its directory.
    ///
    /// # Errors
    ///
    /// One clear line within 5 s where it cannot be reached; it never shows the password.
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self, DbError> {
        let target = Target::parse(&settings.url)?;
        let runtime = OwnRuntime::start()?;
        let opening = {
            let target = target.clone();
            let max_connections = settings.max_connections.max(1);
            runtime.1.spawn(async move {
                tokio::time::timeout(CONNECT_LIMIT, Pools::open(&target, max_connections)).await
            })
        };
        let cause = match opening.await {
            Ok(Ok(Ok(pools))) => {
                return Ok(Self {
                    inner: Arc::new(Inner {
                        pools,
                        target,
                        runtime,
                    }),
                });
            }
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_elapsed)) => "no answer within 4 s".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(DbError::Unavailable(target.unreachable(&cause)))
    }

    /// Asks the database for an answer, for the readiness probe.
    ///
    /// # Errors
    ///
    /// [`DbError::Unavailable`] where there is none.
    pub async fn ping(&self) -> Result<(), DbError> {
        use diesel::dsl::sql;
        use diesel::sql_types::Integer;
        use diesel_async::RunQueryDsl;
        query!(self, |conn| diesel::select(sql::<Integer>("1"))
            .get_result::<i32>(conn)
            .await)
        .map(|_one| ())
    }

    /// Which of the two databases this is.
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        self.inner.target.kind()
    }

    fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    /// Runs an operation on the database's own threads. It ends by itself: a caller that goes away
    /// does not stop it, so a write that was begun is either committed or rolled back.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, DbError>> + Send + 'static,
    ) -> Result<T, DbError> {
        self.run_within(OPERATION_LIMIT, work).await
    }

    async fn run_within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, DbError>> + Send + 'static,
    ) -> Result<T, DbError> {
        // The operation keeps the runtime alive until it is done.
        let inner = self.inner();
        let task = self.inner.runtime.1.spawn(async move {
            let result = tokio::time::timeout(limit, work).await;
            drop(inner);
            result
        });
        match task.await {
            Ok(Ok(result)) => result,
            Ok(Err(_elapsed)) => Err(DbError::Unavailable(format!(
                "the database did not finish within {} s; try again later",
                limit.as_secs()
            ))),
            Err(error) if error.is_panic() => Err(DbError::Other(
                "a database operation panicked; see the log".to_owned(),
            )),
            Err(_cancelled) => Err(DbError::Unavailable(
                "the database is being closed".to_owned(),
            )),
        }
    }
}
