//! Migrations, embedded in the program: forward, all the way back, and how many are due. One
//! process at a time runs them.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use diesel::backend::Backend;
use diesel::migration::MigrationSource;
use diesel::sql_types::BigInt;
use diesel::{RunQueryDsl, SqliteConnection};
use diesel_async::AsyncMigrationHarness;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::pools::PgConn;
use super::settings::Target;
use super::sqlite::{self, Role};
use super::{Db, DbError, postgres};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Migrations may rebuild large tables, so they have time.
const MIGRATION_LIMIT: Duration = Duration::from_secs(3600);

/// The key of the advisory lock that servers starting at once take in turn.
const LOCK: i64 = 0x6772_6d6d_6d69_6772;

type Failure = Box<dyn Error + Send + Sync>;

/// What to do with the migrations.
#[derive(Debug, Clone, Copy)]
enum Task {
    Apply,
    RevertAll,
    ListPending,
}

impl Db {
    /// Runs the migrations that are due and names them.
    ///
    /// # Errors
    ///
    /// A migration that fails, and a database that a newer program has migrated.
    pub async fn migrate(&self) -> Result<Vec<String>, DbError> {
        self.migrations(Task::Apply).await
    }

    /// Takes all migrations back, the newest first, and names them. All data is lost.
    ///
    /// # Errors
    ///
    /// A migration that cannot be taken back.
    pub async fn revert_all(&self) -> Result<Vec<String>, DbError> {
        self.migrations(Task::RevertAll).await
    }

    /// Counts the migrations that are due.
    ///
    /// # Errors
    ///
    /// As [`Db::migrate`].
    pub async fn pending_migrations(&self) -> Result<usize, DbError> {
        self.migrations(Task::ListPending)
            .await
            .map(|names| names.len())
    }

    async fn migrations(&self, task: Task) -> Result<Vec<String>, DbError> {
        match self.inner.target.clone() {
            Target::Sqlite(path) => {
                self.run_within(MIGRATION_LIMIT, on_sqlite(path, task))
                    .await
            }
            Target::Postgres(url) => {
                self.run_within(MIGRATION_LIMIT, on_postgres(url, task))
                    .await
            }
        }
    }
}

async fn on_sqlite(path: PathBuf, task: Task) -> Result<Vec<String>, DbError> {
    let work = move || {
        let mut conn = sqlite::open(&path, Role::Migration)?;
        // One transaction around all: a second process waits, and a failure leaves nothing half-done.
        conn.immediate_transaction(|conn| {
            let names = carry_out(conn, SQLITE, task)?;
            forbid_dangling_references(conn)?;
            Ok(names)
        })
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| DbError::Other(error.to_string()))?
}

fn forbid_dangling_references(conn: &mut SqliteConnection) -> Result<(), DbError> {
    let dangling: i64 = diesel::dsl::sql::<BigInt>("SELECT count(*) FROM pragma_foreign_key_check")
        .get_result(conn)?;
    if dangling > 0 {
        return Err(DbError::Other(format!(
            "the migrations would leave {dangling} rows that refer to missing ones; nothing was changed"
        )));
    }
    Ok(())
}

async fn on_postgres(url: String, task: Task) -> Result<Vec<String>, DbError> {
    let mut conn = postgres::open(&url).await?;
    let lock = format!("SELECT pg_advisory_lock({LOCK})");
    diesel_async::RunQueryDsl::execute(diesel::sql_query(lock), &mut conn).await?;
    // The lock is the session's and goes with the connection, whatever happens.
    let mut harness = AsyncMigrationHarness::<PgConn>::new(conn);
    carry_out(&mut harness, POSTGRES, task)
}

fn carry_out<DB: Backend>(
    harness: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
    task: Task,
) -> Result<Vec<String>, DbError>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known = MigrationSource::<DB>::migrations(&source).map_err(failed)?;
    let applied = harness.applied_migrations().map_err(failed)?;
    if let Some(unknown) = applied.iter().find(|version| {
        !known
            .iter()
            .any(|migration| migration.name().version() == **version)
    }) {
        return Err(DbError::Other(format!(
            "the database was migrated by a newer version of this program (migration {unknown} is unknown here); run that version"
        )));
    }
    let mut names = Vec::new();
    match task {
        Task::Apply => {
            for migration in harness.pending_migrations(source).map_err(failed)? {
                harness.run_migration(&migration).map_err(failed)?;
                names.push(migration.name().to_string());
            }
        }
        Task::RevertAll => {
            // The newest comes first.
            for version in applied {
                if let Some(migration) = known.iter().find(|m| m.name().version() == version) {
                    harness.revert_migration(migration).map_err(failed)?;
                    names.push(migration.name().to_string());
                }
            }
        }
        Task::ListPending => {
            let pending = harness.pending_migrations(source).map_err(failed)?;
            names.extend(pending.iter().map(|migration| migration.name().to_string()));
        }
    }
    Ok(names)
}

fn failed(error: Failure) -> DbError {
    DbError::Other(format!("a migration failed: {error}"))
}
