//! Registration tokens: what lets agents enrol at a site for a while, so many times, and perhaps
//! only to wait for a person's word.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, RegistrationTokenId, SiteId, UserId};

use super::agents::{Agent, NewAgent};
use super::page::{PageOf, SortValue, lower, pattern};
use super::schema::{agent_approvals, registration_tokens as tokens, sites};
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// A stored token, without what opens the door.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = tokens)]
pub struct RegistrationToken {
    /// Its id.
    pub id: RegistrationTokenId,
    /// Where it lets agents in.
    pub site_id: SiteId,
    /// What it is for.
    pub name: Option<String>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// How often yet; none means as often as may be.
    pub uses_left: Option<i32>,
    /// How often it was used.
    pub uses: i32,
    /// Whether a person must approve each agent.
    pub approval_required: bool,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A new token.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Where it lets agents in.
    pub site_id: SiteId,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What it is for.
    pub name: Option<String>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// How often.
    pub uses: Option<i32>,
    /// Whether a person must approve each agent.
    pub approval_required: bool,
    /// Who makes it.
    pub created_by: UserId,
}

/// Inserts a token; [`DbError::ForeignKey`] where there is no such site.
pub async fn insert(db: &Db, new: NewToken) -> Result<RegistrationToken, DbError> {
    let id = Bind(RegistrationTokenId::generate());
    exec!(db, |conn| diesel::insert_into(tokens::table)
        .values((
            tokens::id.eq(id),
            tokens::site_id.eq(Bind(new.site_id)),
            tokens::token_hash.eq(new.hash.as_slice()),
            tokens::name.eq(new.name.as_deref()),
            tokens::expires_at.eq(Bind(new.expires_at)),
            tokens::uses_left.eq(new.uses),
            tokens::uses.eq(0),
            tokens::approval_required.eq(new.approval_required),
            tokens::created_by.eq(Bind(new.created_by)),
            tokens::created_at.eq(Bind(now())),
        ))
        .returning(RegistrationToken::as_returning())
        .get_result(conn)
        .await)
}

sorts! {
    /// The orders of a list of tokens.
    TokenSort, newest first: true {
        /// By the time they were made.
        Created = "created" (time),
        /// By their end.
        Expires = "expires" (time),
    }
}

impl RegistrationToken {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: TokenSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            TokenSort::Created => SortValue::Time(self.created_at),
            TokenSort::Expires => SortValue::Time(self.expires_at),
        };
        (value, self.id.0)
    }
}

/// Which tokens to list.
#[derive(Debug, Clone)]
pub struct TokenFilter {
    /// Only those of sites within.
    pub scope: Scope,
    /// Only those of this site.
    pub site_id: Option<SiteId>,
    /// Only those of this client's sites.
    pub client_id: Option<ClientId>,
    /// Only those that let agents in, or the others.
    pub usable: Option<bool>,
    /// Only those whose name holds this.
    pub words: Option<String>,
    /// Now.
    pub at: DateTime<Utc>,
}

/// Lists tokens.
pub async fn list(
    db: &Db,
    filter: TokenFilter,
    page: PageOf<TokenSort>,
) -> Result<Vec<RegistrationToken>, DbError> {
    query!(db, |conn| {
        let mut rows = tokens::table
            .inner_join(sites::table)
            .select(RegistrationToken::as_select())
            .into_boxed();
        within!(rows, &filter.scope, sites::client_id, sites::id);
        if let Some(id) = filter.site_id {
            rows = rows.filter(tokens::site_id.eq(Bind(id)));
        }
        if let Some(id) = filter.client_id {
            rows = rows.filter(sites::client_id.eq(Bind(id)));
        }
        match filter.usable {
            Some(true) => {
                rows = rows
                    .filter(tokens::expires_at.gt(Bind(filter.at)))
                    .filter(tokens::uses_left.is_null().or(tokens::uses_left.gt(0)));
            }
            Some(false) => {
                let used_up = tokens::uses_left.le(0).assume_not_null();
                let spent = tokens::uses_left.is_not_null().and(used_up);
                rows = rows.filter(tokens::expires_at.le(Bind(filter.at)).or(spent));
            }
            None => {}
        }
        if let Some(words) = &filter.words {
            let named = tokens::name.assume_not_null();
            let holds = lower(named).like(lower(pattern(words)));
            rows = rows.filter(holds.escape('\\'));
        }
        match page.sort {
            TokenSort::Created => {
                keyset!(
                    rows,
                    page,
                    tokens::created_at,
                    tokens::id,
                    RegistrationTokenId,
                    time
                );
            }
            TokenSort::Expires => {
                keyset!(
                    rows,
                    page,
                    tokens::expires_at,
                    tokens::id,
                    RegistrationTokenId,
                    time
                );
            }
        }
        rows.load(conn).await
    })
}

/// Finds a token by its id.
pub async fn by_id(db: &Db, id: RegistrationTokenId) -> Result<Option<RegistrationToken>, DbError> {
    query!(db, |conn| tokens::table
        .find(Bind(id))
        .select(RegistrationToken::as_select())
        .first(conn)
        .await
        .optional())
}

/// Finds a token by its SHA-256.
pub async fn by_hash(db: &Db, hash: &[u8; 32]) -> Result<Option<RegistrationToken>, DbError> {
    let hash = *hash;
    query!(db, |conn| tokens::table
        .filter(tokens::token_hash.eq(hash.as_slice()))
        .select(RegistrationToken::as_select())
        .first(conn)
        .await
        .optional())
}

/// Deletes a token; `false` where there is none.
pub async fn delete(db: &Db, id: RegistrationTokenId) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::delete(tokens::table.find(Bind(id)))
        .execute(conn)
        .await)
    .map(|deleted| deleted > 0)
}

/// Uses a token once and enrols an agent with it, both or neither; `None` where the token is used
/// up, expired or gone. [`DbError::Duplicate`] where its site has the device.
pub async fn enroll(
    db: &Db,
    id: RegistrationTokenId,
    new: NewAgent,
    at: DateTime<Utc>,
) -> Result<Option<Agent>, DbError> {
    let agent_id = AgentId::generate();
    transact!(db, |conn| {
        let usable = tokens::table
            .find(Bind(id))
            .filter(tokens::expires_at.gt(Bind(at)))
            .filter(tokens::uses_left.is_null().or(tokens::uses_left.gt(0)));
        let used: Option<RegistrationToken> = diesel::update(usable)
            .set((
                tokens::uses.eq(tokens::uses + 1),
                tokens::uses_left.eq(tokens::uses_left - 1),
            ))
            .returning(RegistrationToken::as_returning())
            .get_result(conn)
            .await
            .optional()?;
        let Some(token) = used else {
            return Ok(None);
        };
        let agent: Agent = super::agents::insertion!(Bind(agent_id), Bind(at), new)
            .get_result(conn)
            .await?;
        if token.approval_required {
            diesel::insert_into(agent_approvals::table)
                .values((
                    agent_approvals::agent_id.eq(Bind(agent_id)),
                    agent_approvals::token_id.eq(Bind(id)),
                    agent_approvals::requested_at.eq(Bind(at)),
                ))
                .execute(conn)
                .await?;
        }
        Ok(Some(agent))
    })
}
