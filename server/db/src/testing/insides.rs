//! What only this crate can reach, for its own tests.

use diesel::connection::SimpleConnection;
use diesel_async::SimpleAsyncConnection;

use crate::settings::Target;
use crate::sqlite::{self, Role};
use crate::{DatabaseSettings, Db, DbError, postgres};

/// The settings that lead to an open database.
pub fn settings_of(db: &Db) -> DatabaseSettings {
    DatabaseSettings::new(match &db.inner.target {
        Target::Sqlite(path) => format!("sqlite:{}", path.display()),
        Target::Postgres(url) => url.clone(),
    })
}

/// Runs a script as it stands, past every rule: the one for the database's kind.
pub async fn run_script(db: &Db, on_sqlite: &str, on_postgres: &str) {
    match &db.inner.target {
        Target::Sqlite(path) => {
            let mut conn = sqlite::open(path, Role::Migration).unwrap();
            conn.batch_execute(on_sqlite).unwrap();
        }
        Target::Postgres(url) => {
            let mut conn = postgres::open(url).await.unwrap();
            conn.batch_execute(on_postgres).await.unwrap();
        }
    }
}

/// How messages call the database of a URL.
pub fn target_name(url: &str) -> Result<String, DbError> {
    Target::parse(url).map(|target| target.name())
}

/// The line for a database that cannot be reached.
pub fn unreachable(url: &str, cause: &str) -> String {
    Target::parse(url).unwrap().unreachable(cause)
}

/// PostgreSQL's name for the constraint in SQLite's message.
pub fn unique_name(message: &str) -> String {
    crate::error::unique_name(message)
}

/// The pattern for `LIKE` of a text that is to be found as it stands.
pub fn like_pattern(words: &str) -> String {
    crate::page::pattern(words)
}
