//! The pools of connections and how one is borrowed: with a bound on the wait, in turn where there
//! is a single writer, and so that a connection which was in use when something went wrong (a panic,
//! a time-out, a lost server) is thrown away instead of being given to the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bb8::{ErrorSink, ManageConnection, PooledConnection, RunError};
use diesel::SqliteConnection;
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::DbError;
use super::postgres::PgManager;
use super::settings::Target;
use super::sqlite::{LiteManager, Role};

/// A connection to PostgreSQL.
pub(super) type PgConn = AsyncPgConnection;

/// A connection to SQLite, whose calls run on blocking threads.
pub(super) type LiteConn = SyncConnectionWrapper<SqliteConnection>;

/// How long a query waits for a connection, or for its turn to write.
const LEASE_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection to PostgreSQL may lie idle.
const IDLE_LIMIT: Duration = Duration::from_secs(600);

/// Readers of the SQLite file; the writer is one.
const LITE_READERS: u32 = 4;

/// Rows of at most 13 columns in one statement, for PostgreSQL's 65,535 binds.
pub(super) const ROWS_PER_STATEMENT: usize = 5_000;

/// The connections to one of the two databases.
pub(super) enum Pools {
    Postgres(Pool<PgManager>),
    Sqlite {
        read: Pool<LiteManager>,
        write: Pool<LiteManager>,
        /// Gives the single writer to those who wait in the order they came; the pool is not fair.
        turn: Arc<Semaphore>,
    },
}

impl Pools {
    /// Reaches the database once, for a clear error, and makes the pools.
    pub(super) async fn open(target: &Target, max_connections: u32) -> Result<Self, DbError> {
        match target {
            Target::Postgres(url) => {
                let manager = PgManager::new(url.clone());
                drop(manager.connect().await?);
                Ok(Self::Postgres(Pool::new(
                    manager,
                    max_connections,
                    Some(IDLE_LIMIT),
                )))
            }
            Target::Sqlite(path) => {
                super::sqlite::create_file(path)?;
                let writer = LiteManager::new(path.clone(), Role::Writer);
                drop(writer.connect().await?);
                Ok(Self::Sqlite {
                    read: Pool::new(
                        LiteManager::new(path.clone(), Role::Reader),
                        LITE_READERS,
                        None,
                    ),
                    write: Pool::new(writer, 1, None),
                    turn: Arc::new(Semaphore::new(1)),
                })
            }
        }
    }
}

/// A pool that remembers why it could not connect.
pub(super) struct Pool<M: ManageConnection> {
    pool: bb8::Pool<M>,
    trouble: Trouble,
}

impl<M: ManageConnection<Error = DbError>> Pool<M> {
    fn new(manager: M, size: u32, idle_limit: Option<Duration>) -> Self {
        let trouble = Trouble::default();
        let pool = bb8::Pool::builder()
            .max_size(size)
            .connection_timeout(LEASE_LIMIT)
            // Looks at the connection's state only, see `is_valid`: no round trip.
            .test_on_check_out(true)
            .max_lifetime(None)
            .idle_timeout(idle_limit)
            .error_sink(Box::new(trouble.clone()))
            .build_unchecked(manager);
        Self { pool, trouble }
    }
}

/// The last error of a pool's attempts to connect.
#[derive(Debug, Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ErrorSink<DbError> for Trouble {
    fn sink(&self, error: DbError) {
        tracing::warn!(error = %error, "cannot connect to the database");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<DbError>> {
        Box::new(self.clone())
    }
}

/// Borrows a connection.
pub(super) async fn lease<M: ManageConnection<Error = DbError>>(
    pool: &Pool<M>,
) -> Result<PooledConnection<'_, M>, DbError> {
    pool.pool.get().await.map_err(|error| match error {
        RunError::User(error) => error,
        RunError::TimedOut => DbError::Unavailable(match pool.trouble.take() {
            Some(cause) => format!("cannot reach the database: {cause}"),
            None => "all connections to the database were busy for 5 s; try again later".to_owned(),
        }),
    })
}

/// Waits for the turn to write to SQLite.
pub(super) async fn take_turn(turn: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, DbError> {
    match tokio::time::timeout(LEASE_LIMIT, Arc::clone(turn).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_closed)) => Err(DbError::Unavailable(
            "the database is being closed".to_owned(),
        )),
        Err(_elapsed) => Err(DbError::Unavailable(
            "the database was busy writing for 5 s; try again later".to_owned(),
        )),
    }
}

/// A pooled connection that knows whether its last use ended well.
pub(super) struct Slot<C> {
    conn: C,
    whole: bool,
}

impl<C: PoolableConnection> Slot<C> {
    pub(super) fn new(conn: C) -> Self {
        Self { conn, whole: true }
    }

    /// Takes the connection into use; until `settle` it counts as broken.
    pub(super) fn begin(&mut self) -> &mut C {
        self.whole = false;
        &mut self.conn
    }

    /// Ends the use. After a lost answer nobody knows what state the connection is in.
    pub(super) fn settle<T>(&mut self, result: Result<T, DbError>) -> Result<T, DbError> {
        self.whole = !matches!(result, Err(DbError::Unavailable(_)));
        result
    }

    /// Whether the connection must not be used again. What is not whole is not even asked: the
    /// wrapper's own answer panics on a connection whose last closure panicked.
    pub(super) fn is_broken(&mut self) -> bool {
        std::thread::panicking() || !self.whole || self.conn.is_broken()
    }
}
