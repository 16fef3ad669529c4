//! A test's own database, on either engine, and a direct look into it.

use std::io::Read;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Nullable, Text};
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};

use crate::cluster::Cluster;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded default.
    Sqlite,
    /// The tests' private cluster.
    Postgres,
}

/// A database of one test.
#[derive(Debug, Clone)]
pub enum Database {
    /// The file that the server makes in this directory, its data's.
    Sqlite(PathBuf),
    /// A database of the private cluster, by name and URL.
    Postgres {
        /// Its name in the cluster.
        name: String,
        /// Its URL.
        url: String,
    },
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

impl Database {
    /// Makes an empty one.
    pub async fn create(engine: Engine, data_dir: &Path) -> Self {
        match engine {
            Engine::Sqlite => Self::Sqlite(data_dir.to_owned()),
            Engine::Postgres => {
                let name = format!("test_{}", uuid::Uuid::new_v4().simple());
                let cluster = Cluster::shared();
                execute(cluster.url(), &format!("CREATE DATABASE {name}")).await;
                let url = cluster.database_url(&name);
                Self::Postgres { name, url }
            }
        }
    }

    /// Removes it.
    pub async fn remove(&self) {
        if let Self::Postgres { name, .. } = self {
            let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            execute(Cluster::shared().url(), &statement).await;
        }
    }

    /// Which engine it is on.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres { .. } => Engine::Postgres,
        }
    }

    /// The name that the server's `/readyz` gives its engine.
    #[must_use]
    pub fn engine_name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres { .. } => "postgres",
        }
    }

    /// What the server is to be told, nothing for its default.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { url, .. } => Some(url),
        }
    }

    /// The values of the column `value` that `query` selects as text, one a row.
    ///
    /// # Panics
    /// When the query fails.
    pub async fn values(&self, query: &str) -> Vec<Option<String>> {
        match self {
            Self::Sqlite(_) => {
                let mut connection = self.sqlite();
                let rows: Vec<Row> = diesel::sql_query(query).load(&mut connection).unwrap();
                rows.into_iter().map(|row| row.value).collect()
            }
            Self::Postgres { url, .. } => {
                let client = connect(url).await;
                let rows = client.query(query, &[]).await.unwrap();
                rows.iter().map(|row| row.get("value")).collect()
            }
        }
    }

    /// The one number that `query` selects as the text `value`.
    pub async fn count(&self, query: &str) -> i64 {
        let values = self.values(query).await;
        values[0]
            .as_deref()
            .expect("not null")
            .parse()
            .expect("a number")
    }

    /// Carries out a statement; an error is the database's own text.
    ///
    /// # Errors
    /// What the database says, a broken constraint for instance.
    pub async fn execute(&self, statement: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(_) => {
                let mut connection = self.sqlite();
                connection
                    .batch_execute(statement)
                    .map_err(|error| error.to_string())
            }
            Self::Postgres { url, .. } => connect(url)
                .await
                .batch_execute(statement)
                .await
                .map_err(|error| {
                    error
                        .as_db_error()
                        .map_or_else(|| error.to_string(), ToString::to_string)
                }),
        }
    }

    /// Takes the right to write to a file of SQLite; until what is answered is dropped, nobody else writes.
    ///
    /// # Panics
    /// On PostgreSQL, where many write at once.
    #[must_use]
    pub fn hold_writer(&self) -> SqliteConnection {
        let mut connection = self.sqlite();
        connection.batch_execute("BEGIN IMMEDIATE").unwrap();
        connection
    }

    fn sqlite(&self) -> SqliteConnection {
        let Self::Sqlite(data_dir) = self else {
            unreachable!("asked for on SQLite only")
        };
        let path = sqlite_file(data_dir);
        let mut connection = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        connection
            .batch_execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;")
            .unwrap();
        connection
    }
}

/// The file that says it is a database.
fn sqlite_file(data_dir: &Path) -> PathBuf {
    let entries = std::fs::read_dir(data_dir).expect("the server made its data directory");
    entries
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let mut start = [0; 16];
            let file = std::fs::File::open(path);
            file.and_then(|mut file| file.read_exact(&mut start))
                .is_ok()
                && &start == b"SQLite format 3\0"
        })
        .expect("the server made its database")
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("the private cluster runs");
    tokio::spawn(connection);
    client
}

async fn execute(url: &str, statement: &str) {
    connect(url).await.batch_execute(statement).await.unwrap();
}
