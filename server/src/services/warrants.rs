//! By what right somebody has come in, for what lasts longer than a request: it is asked again while it lasts.

use chrono::{DateTime, Utc};
use gururmm_shared::{ApiKeyId, UserId};

use crate::db::{Db, DbError, api_keys, users};

/// The log-in or the key that somebody came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warrant {
    /// Whose.
    pub user_id: UserId,
    /// The user's token version then: a log-out, a change of password, role or scope makes it another.
    pub token_version: i64,
    /// The key, if it was not a log-in.
    pub key_id: Option<ApiKeyId>,
    /// When it ends by itself.
    pub valid_until: Option<DateTime<Utc>>,
}

impl Warrant {
    /// Whether it is good still. A key lives on when its maker logs out.
    ///
    /// # Errors
    /// That cannot be found out now.
    pub async fn holds(&self, db: &Db, now: DateTime<Utc>) -> Result<bool, DbError> {
        if self.valid_until.is_some_and(|end| end <= now) {
            return Ok(false);
        }
        let versions = users::versions(db, vec![self.user_id]).await?;
        let Some((_, version)) = versions.first() else {
            return Ok(false);
        };
        match self.key_id {
            Some(key) => Ok(api_keys::alive(db, vec![key]).await?.contains(&key)),
            None => Ok(*version == self.token_version),
        }
    }
}
