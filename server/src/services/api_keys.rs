//! Keys of users for their scripts: at most what their maker may do, where their maker may do it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use gururmm_shared::{ApiKeyId, ClientId, SiteId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::audit::now;
use crate::db::api_keys::{self, ApiKey, NewApiKey};
use crate::db::users::Account;
use crate::db::{Db, clients, sites};
use crate::domain::credentials::{digest, generate_user_key};
use crate::domain::role::Role;
use crate::domain::scope::Scope;
use crate::error::AppError;

/// Keys that a user may have.
const MOST: i64 = 100;
/// How old the note of a key's last use may be.
const USE_NOTED: Duration = Duration::minutes(1);

/// Somebody who came with a key.
pub struct KeyHolder {
    /// The key.
    pub id: ApiKeyId,
    /// When it expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its maker.
    pub account: Account,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub scope: Scope,
}

/// A scope as a key's row keeps it.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    client_ids: BTreeSet<ClientId>,
    site_ids: BTreeSet<SiteId>,
}

/// The scope that a key's row names; none means its maker's.
///
/// # Errors
/// 500: the row holds something else.
pub fn scope_of(key: &ApiKey) -> Result<Scope, AppError> {
    let Some(value) = key.scope.clone() else {
        return Ok(Scope::Everything);
    };
    let kept: Kept = serde_json::from_value(value).map_err(|error| AppError::internal(&error))?;
    Ok(Scope::Only {
        clients: kept.client_ids,
        sites: kept.site_ids,
    })
}

fn keep(scope: &Scope) -> Result<Option<Value>, AppError> {
    let Scope::Only { clients, sites } = scope else {
        return Ok(None);
    };
    let kept = Kept {
        client_ids: clients.clone(),
        site_ids: sites.clone(),
    };
    let value = serde_json::to_value(kept).map_err(|error| AppError::internal(&error))?;
    Ok(Some(value))
}

async fn places(db: &Db, scopes: [&Scope; 2]) -> Result<BTreeMap<SiteId, ClientId>, AppError> {
    let mut ids = BTreeSet::new();
    for scope in scopes {
        if let Scope::Only { sites: named, .. } = scope {
            ids.extend(named.iter().copied());
        }
    }
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(sites::clients_of(db, ids.into_iter().collect()).await?)
}

fn dead(why: &'static str) -> AppError {
    AppError::unauthorized("key_revoked", why)
}

/// Who comes with a key.
///
/// # Errors
/// 401: unknown, revoked, expired, or its maker may no longer do what it may.
pub async fn authenticate(db: &Db, key: &str) -> Result<KeyHolder, AppError> {
    let found = api_keys::by_hash(db, digest(key)).await?;
    let (key, account) = found.ok_or_else(|| {
        AppError::unauthorized(
            "unknown_key",
            "there is no such key; make one with POST /api/keys",
        )
    })?;
    let at = now();
    if key.expires_at.is_some_and(|end| end <= at) {
        return Err(dead("the key has expired; make another one"));
    }
    let parse = |word: &str| {
        word.parse::<Role>()
            .map_err(|error| AppError::internal(&error))
    };
    let (role, maker) = (parse(&key.role)?, parse(&account.user.role)?);
    if key.revoked_at.is_some() || account.user.disabled || !maker.includes(role) {
        return Err(dead("the key was revoked; make another one"));
    }
    let own = scope_of(&key)?;
    let scope = if own == Scope::Everything || account.scope == Scope::Everything {
        own.cut_to(&account.scope, |_| None)
    } else {
        let places = places(db, [&own, &account.scope]).await?;
        own.cut_to(&account.scope, |id| places.get(&id).copied())
    };
    if key.last_used_at.is_none_or(|used| used + USE_NOTED <= at) {
        api_keys::mark_used(db, key.id, at).await?;
    }
    Ok(KeyHolder {
        id: key.id,
        expires_at: key.expires_at,
        account,
        role,
        scope,
    })
}

/// A key to be made.
pub struct Order {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where, if not everywhere its maker may.
    pub scope: Scope,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a key; the second is the key itself, which is not kept.
///
/// # Errors
/// 400 for more than the maker has or an end that is past, 409 for too many keys.
pub async fn make(
    db: &Db,
    maker: &Account,
    maker_role: Role,
    order: Order,
) -> Result<(ApiKey, String), AppError> {
    if !maker_role.includes(order.role) {
        let detail = format!("a key of yours is at most {maker_role}");
        return Err(AppError::invalid_field("role", detail));
    }
    if order.expires_at.is_some_and(|end| end <= now()) {
        let detail = "expires_at is in the past; leave it out for a key that stays";
        return Err(AppError::invalid_field("expires_at", detail));
    }
    if order.scope != Scope::Everything {
        check_scope(db, &maker.scope, &order.scope).await?;
    }
    let key = generate_user_key(&mut rand::rng());
    let new = NewApiKey {
        user_id: maker.user.id,
        name: order.name,
        key_hash: digest(&key),
        role: order.role.name().to_owned(),
        scope: keep(&order.scope)?,
        expires_at: order.expires_at,
    };
    let row = api_keys::insert(db, new, MOST).await?.ok_or_else(|| {
        let detail = format!("you have {MOST} keys; delete one first");
        AppError::conflict("too_many_keys", detail)
    })?;
    Ok((row, key))
}

async fn check_scope(db: &Db, maker: &Scope, scope: &Scope) -> Result<(), AppError> {
    let Scope::Only {
        clients: named,
        sites: single,
    } = scope
    else {
        return Ok(());
    };
    let places = places(db, [scope, &Scope::Everything]).await?;
    let known = clients::count_of(db, named.iter().copied().collect()).await?;
    let all_known = usize::try_from(known) == Ok(named.len())
        && single.iter().all(|id| places.contains_key(id));
    if all_known && maker.includes(scope, |id| places.get(&id).copied()) {
        return Ok(());
    }
    Err(AppError::invalid_field(
        "scope",
        "scope names a client or a site that does not exist or that you have no access to",
    ))
}
