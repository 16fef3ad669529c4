//! Runs a test's body on both databases: SQLite in a temporary directory, and a fresh database of
//! the PostgreSQL cluster that `make test` starts. Nothing is skipped: without one the test fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that panics has failed, and its words are for people"
)]

mod faults;
mod insides;
mod schema;

use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, RunQueryDsl};

pub use faults::{panic_in_a_reader, panic_in_a_transaction, panic_in_a_writer};
pub use insides::{like_pattern, run_script, settings_of, target_name, unique_name, unreachable};
pub use schema::select_every_column;

use super::pools::PgConn;
use super::{DatabaseSettings, Db, DbError};

const POSTGRES_URL: &str = "GURURMM_TEST_POSTGRES_URL";

/// A database of its own for one test.
pub struct Scratch {
    /// How to reach it.
    pub settings: DatabaseSettings,
    directory: Option<tempfile::TempDir>,
    postgres: Option<(String, String)>,
}

impl Scratch {
    /// Makes an empty SQLite database; it goes with the value.
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        Self {
            settings: DatabaseSettings::new(format!("sqlite://{}", path.display())),
            directory: Some(directory),
            postgres: None,
        }
    }

    /// Makes an empty PostgreSQL database; `remove` takes it away.
    pub async fn postgres() -> Self {
        let Ok(admin) = std::env::var(POSTGRES_URL) else {
            panic!(
                "{POSTGRES_URL} is not set: run `make test`, which starts a PostgreSQL for the tests"
            );
        };
        let name = format!("gururmm_test_{}", uuid::Uuid::new_v4().simple());
        run_on(&admin, &format!("CREATE DATABASE {name}")).await;
        let (place, options) = admin.split_once('?').unwrap_or((&admin, ""));
        let (server, _database) = place.rsplit_once('/').unwrap();
        let url = format!("{server}/{name}?{options}");
        Self {
            settings: DatabaseSettings::new(url),
            directory: None,
            postgres: Some((admin, name)),
        }
    }

    /// Removes the database.
    pub async fn remove(self) {
        if let Some((admin, name)) = &self.postgres {
            run_on(admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
        drop(self.directory);
    }
}

async fn run_on(url: &str, sql: &str) {
    let mut conn = PgConn::establish(url).await.unwrap();
    diesel::sql_query(sql).execute(&mut conn).await.unwrap();
}

/// Runs `body` with the settings of an empty, unmigrated database, once for each kind. The runtime
/// has one thread, as those of the server's workers do.
pub fn on_both_unmigrated(body: impl AsyncFn(DatabaseSettings)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        eprintln!("on SQLite");
        let scratch = Scratch::sqlite();
        body(scratch.settings.clone()).await;
        scratch.remove().await;
        eprintln!("on PostgreSQL");
        let scratch = Scratch::postgres().await;
        body(scratch.settings.clone()).await;
        scratch.remove().await;
    });
}

/// Runs `body` with a migrated database, once for each kind.
pub fn on_both(body: impl AsyncFn(Db)) {
    on_both_unmigrated(async |settings| {
        let db = Db::connect(&settings).await.unwrap();
        db.migrate().await.unwrap();
        body(db).await;
    });
}

/// Runs one statement as it stands.
pub async fn execute(db: &Db, sql: &str) -> Result<usize, DbError> {
    let sql = sql.to_owned();
    exec!(db, |conn| diesel::sql_query(sql).execute(conn).await)
}

/// Runs a `SELECT` of one number.
pub async fn number(db: &Db, sql: &str) -> i64 {
    let sql = sql.to_owned();
    query!(db, |conn| diesel::dsl::sql::<BigInt>(&sql)
        .get_result(conn)
        .await)
    .unwrap()
}
