//! What can go wrong with the database, in the same words for both: which constraint, whether
//! another try may help. Owns the translation from diesel's errors and nothing of HTTP.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

/// Why a query did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// The database cannot be reached or is too busy; the same call may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// A row with the same key exists; `constraint` is named alike on both databases, as
    /// `users_email_key` or `tech_sessions_one_active`.
    #[error("such a row exists already ({constraint}); choose another value or use that row")]
    Duplicate {
        /// The unique constraint or index that refused the row.
        constraint: String,
    },
    /// The row names one that does not exist, or others still name it.
    #[error("the row refers to one that does not exist, or others still refer to it")]
    ForeignKey,
    /// There is no such row.
    #[error("there is no such row")]
    NotFound,
    /// A value breaks a rule of its column or of the operation; the text names the rule.
    #[error("the database refused a value: {0}")]
    Constraint(String),
    /// Anything else: a fault of the program or of the database, for the log.
    #[error("{0}")]
    Other(String),
}

impl DbError {
    /// Whether the unique constraint `name` refused the row.
    #[must_use]
    pub fn is_duplicate_of(&self, name: &str) -> bool {
        matches!(self, Self::Duplicate { constraint } if constraint == name)
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NotFound,
            Error::DatabaseError(kind, info) => translate(&kind, info.as_ref()),
            Error::BrokenTransactionManager => Self::Unavailable(
                "the connection to the database broke in mid-transaction; try again".into(),
            ),
            Error::DeserializationError(cause) => {
                Self::Other(format!("a stored value cannot be read: {cause}"))
            }
            other => Self::Other(other.to_string()),
        }
    }
}

fn translate(kind: &DatabaseErrorKind, info: &dyn DatabaseErrorInformation) -> DbError {
    let message = info.message();
    match kind {
        DatabaseErrorKind::UniqueViolation => DbError::Duplicate {
            constraint: info
                .constraint_name()
                .map_or_else(|| unique_name(message), str::to_owned),
        },
        DatabaseErrorKind::ForeignKeyViolation | DatabaseErrorKind::RestrictViolation => {
            DbError::ForeignKey
        }
        DatabaseErrorKind::CheckViolation | DatabaseErrorKind::NotNullViolation => {
            DbError::Constraint(info.constraint_name().unwrap_or(message).to_owned())
        }
        DatabaseErrorKind::UnableToSendCommand
        | DatabaseErrorKind::ClosedConnection
        | DatabaseErrorKind::SerializationFailure
        | DatabaseErrorKind::ReadOnlyTransaction => {
            DbError::Unavailable(format!("the database did not answer, try again: {message}"))
        }
        _ => by_message(message),
    }
}

/// Errors that have no kind of their own in diesel, by the words of the two databases.
fn by_message(message: &str) -> DbError {
    const BUSY: [&str; 9] = [
        "database is locked",
        "database or disk is full",
        "disk I/O error",
        "statement timeout",
        "deadlock detected",
        "terminating connection",
        "the database system is",
        "too many clients",
        "remaining connection slots",
    ];
    const REFUSED: [&str; 4] = [
        "invalid byte sequence for encoding",
        "unsupported Unicode escape sequence",
        "value too long for type",
        "string or blob too big",
    ];
    let has = |words: &&str| message.contains(*words);
    if message.contains("FOREIGN KEY constraint failed") {
        DbError::ForeignKey
    } else if BUSY.iter().any(has) {
        DbError::Unavailable(format!(
            "the database is not available, try again: {message}"
        ))
    } else if REFUSED.iter().any(has) {
        DbError::Constraint(message.to_owned())
    } else {
        DbError::Other(message.to_owned())
    }
}

/// SQLite names the columns (`UNIQUE constraint failed: sites.client_id, sites.name`) where
/// PostgreSQL names the constraint: this makes the latter's default name of the former.
pub(super) fn unique_name(message: &str) -> String {
    let what = message.rsplit_once(": ").map_or(message, |(_, what)| what);
    if let Some(index) = what.strip_prefix("index '") {
        return index.trim_end_matches('\'').to_owned();
    }
    let named = match what {
        "tech_sessions.tech_id, tech_sessions.agent_id" => "tech_sessions_one_active",
        "alerts.agent_id, alerts.kind" => "alerts_one_unresolved",
        "policies.client_id" => "policies_one_per_client",
        "policies.site_id" => "policies_one_per_site",
        "policies.agent_id" => "policies_one_per_agent",
        "rollouts.channel" => "rollouts_one_open",
        "agent_updates.agent_id" => "agent_updates_one_under_way",
        "agent_updates.rollout_id, agent_updates.agent_id" => "agent_updates_one_a_rollout",
        _ => "",
    };
    if !named.is_empty() {
        return named.to_owned();
    }
    let mut table = "";
    let mut columns = Vec::new();
    for (of, column) in what.split(", ").filter_map(|part| part.split_once('.')) {
        table = of;
        columns.push(column);
    }
    match columns.as_slice() {
        [] => what.to_owned(),
        ["id"] => format!("{table}_pkey"),
        columns => format!("{table}_{}_key", columns.join("_")),
    }
}
