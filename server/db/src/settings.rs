//! Where the database is: the settings, and what their URL says. Knows how to name the place
//! without its password.

use std::fmt;
use std::path::PathBuf;

use super::DbError;

/// What the configuration says of the database.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// `sqlite://PATH`, `sqlite:PATH`, `postgres://…` or `postgresql://…`.
    pub url: String,
    /// The most connections to PostgreSQL; SQLite does not use it.
    pub max_connections: u32,
}

impl DatabaseSettings {
    /// The most connections to PostgreSQL unless the configuration says otherwise.
    pub const DEFAULT_MAX_CONNECTIONS: u32 = 10;

    /// Makes settings for a URL, with the default number of connections.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: Self::DEFAULT_MAX_CONNECTIONS,
        }
    }
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = Target::parse(&self.url).map_or_else(|_| "(invalid)".to_owned(), |t| t.name());
        f.debug_struct("DatabaseSettings")
            .field("url", &url)
            .field("max_connections", &self.max_connections)
            .finish()
    }
}

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file beside the server.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A place to connect to.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, DbError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        let path = url
            .strip_prefix("sqlite://")
            .or_else(|| url.strip_prefix("sqlite:"))
            .ok_or_else(|| {
                DbError::Constraint(
                    "database.url must begin with sqlite: (a path follows) or postgres://"
                        .to_owned(),
                )
            })?;
        if path.is_empty() || path.starts_with(":memory:") || path.contains('\0') {
            return Err(DbError::Constraint(
                "database.url must name a file, as sqlite://data/gururmm.db".to_owned(),
            ));
        }
        // Absolute, so that SQLite cannot take the path for one of its own URIs.
        std::path::absolute(path)
            .map(Self::Sqlite)
            .map_err(|error| DbError::Constraint(format!("database.url: {error}")))
    }

    pub(super) fn kind(&self) -> DatabaseKind {
        match self {
            Self::Sqlite(_) => DatabaseKind::Sqlite,
            Self::Postgres(_) => DatabaseKind::Postgres,
        }
    }

    /// The place for people and logs: without user, password and options.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(url) => format!("postgres://{}", split(url).1),
        }
    }

    /// The one line for a database that cannot be reached.
    pub(super) fn unreachable(&self, cause: &str) -> String {
        let place = self.name();
        match self {
            Self::Sqlite(_) => {
                format!(
                    "cannot open the database at {place}: {cause}; check database.url and the directory's rights"
                )
            }
            Self::Postgres(url) => {
                let cause = match split(url).0.split_once(':') {
                    Some((_user, password)) if !password.is_empty() => {
                        cause.replace(password, "***")
                    }
                    _ => cause.to_owned(),
                };
                format!(
                    "cannot reach the database at {place}: {cause}; check database.url and that PostgreSQL runs there"
                )
            }
        }
    }
}

/// Splits a PostgreSQL URL into `user:password` and `host:port/name`.
fn split(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // A password may hold any of these, so the last @ before the options ends it.
    let rest = rest.split_once('?').map_or(rest, |(place, _options)| place);
    rest.rsplit_once('@').unwrap_or(("", rest))
}
