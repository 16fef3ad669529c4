//! Agents: the enrolled machines, their keys and their places. What changes with every connection
//! is in `presence`, what a list of machines shows in `overview`.

mod fleet;
mod last_seen;
mod locks;
mod overview;
mod presence;

pub use fleet::{AgentBuild, AgentKind, AgentLoad, builds, kinds, loads};
pub(super) use locks::{AgentsLock, alive, alive_blocking, distinct};
pub use overview::{AgentFilter, AgentOverview, AgentSort, list, overview, overviews_of};
pub(super) use presence::signed as signed_protocol;
pub use presence::{AgentConnected, mark_connected, mark_offline, mark_seen, set_all_offline};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, SiteId};
use serde_json::Value;

use super::schema::{agents, sites};
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::scope::Place;

/// An enrolled machine.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = agents)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// The site it belongs to, if any.
    pub site_id: Option<SiteId>,
    /// The hardware's identity, unique within the site.
    pub device_id: String,
    /// The machine's name.
    pub hostname: String,
    /// `linux`, `windows`.
    pub os_family: String,
    /// As `Debian GNU/Linux 12`.
    pub os_name: String,
    /// As `12`.
    pub os_version: String,
    /// As `x86_64`.
    pub os_arch: String,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// The version before its last update.
    pub previous_version: Option<String>,
    /// The protocol it spoke when it last connected.
    pub protocol: i32,
    /// What it can do beyond its protocol: a JSON array of strings.
    pub capabilities: Value,
    /// SHA-256 of the agent's own key.
    pub key_hash: Option<Vec<u8>>,
    /// When the agent first used its own key.
    pub key_used_at: Option<DateTime<Utc>>,
    /// SHA-256 of the secret with which a lost enrolment can be repeated.
    pub enrollment_nonce_hash: Option<Vec<u8>>,
    /// Whether it cannot keep a key of its own.
    pub first_generation: bool,
    /// `online` or `offline`.
    pub status: String,
    /// When it last said something.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// When it was enrolled.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a newly enrolled agent is made of.
#[derive(Debug, Clone, Default)]
pub struct NewAgent {
    /// The site it belongs to, if any.
    pub site_id: Option<SiteId>,
    /// The hardware's identity.
    pub device_id: String,
    /// The machine's name.
    pub hostname: String,
    /// `linux`, `windows`.
    pub os_family: String,
    /// As `Debian GNU/Linux 12`.
    pub os_name: String,
    /// As `12`.
    pub os_version: String,
    /// As `x86_64`.
    pub os_arch: String,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// The version before its last update.
    pub previous_version: Option<String>,
    /// The protocol it speaks.
    pub protocol: u32,
    /// What it can do beyond its protocol.
    pub capabilities: Vec<String>,
    /// SHA-256 of the key it is given.
    pub key_hash: Option<[u8; 32]>,
    /// SHA-256 of its enrolment secret.
    pub enrollment_nonce_hash: Option<[u8; 32]>,
    /// Whether it cannot keep a key of its own.
    pub first_generation: bool,
}

/// The insertion of an agent, offline as yet, for here and for `registration_tokens`.
macro_rules! insertion {
    ($id:expr, $at:expr, $new:ident) => {
        diesel::insert_into($crate::schema::agents::table)
            .values((
                $crate::schema::agents::id.eq($id),
                $crate::schema::agents::site_id.eq($new.site_id.map($crate::types::Bind)),
                $crate::schema::agents::device_id.eq(&$new.device_id),
                $crate::schema::agents::hostname.eq(&$new.hostname),
                $crate::schema::agents::os_family.eq(&$new.os_family),
                $crate::schema::agents::os_name.eq(&$new.os_name),
                $crate::schema::agents::os_version.eq(&$new.os_version),
                $crate::schema::agents::os_arch.eq(&$new.os_arch),
                $crate::schema::agents::agent_version.eq($new.agent_version.as_deref()),
                $crate::schema::agents::previous_version.eq($new.previous_version.as_deref()),
                $crate::schema::agents::protocol.eq($crate::agents::signed_protocol($new.protocol)),
                $crate::schema::agents::capabilities.eq($crate::types::Bind(
                    serde_json::Value::from($new.capabilities),
                )),
                $crate::schema::agents::key_hash
                    .eq($new.key_hash.as_ref().map(<[u8; 32]>::as_slice)),
                $crate::schema::agents::enrollment_nonce_hash.eq($new
                    .enrollment_nonce_hash
                    .as_ref()
                    .map(<[u8; 32]>::as_slice)),
                $crate::schema::agents::first_generation.eq($new.first_generation),
                $crate::schema::agents::status.eq("offline"),
                $crate::schema::agents::created_at.eq($at),
                $crate::schema::agents::updated_at.eq($at),
            ))
            .returning($crate::agents::Agent::as_returning())
    };
}
pub(super) use insertion;

/// Enrols an agent, offline as yet; [`DbError::Duplicate`] where its site has that device, as when
/// two enrolments race.
pub async fn enroll(db: &Db, new: NewAgent) -> Result<Agent, DbError> {
    let (id, at) = (Bind(AgentId::generate()), Bind(now()));
    exec!(db, |conn| insertion!(id, at, new).get_result(conn).await)
}

/// Finds an agent by id.
pub async fn by_id(db: &Db, id: AgentId) -> Result<Option<Agent>, DbError> {
    query!(db, |conn| agents::table
        .find(Bind(id))
        .select(Agent::as_select())
        .first(conn)
        .await
        .optional())
}

/// Finds an agent with its place.
pub async fn located(db: &Db, id: AgentId) -> Result<Option<(Agent, Place)>, DbError> {
    let found: Option<(Agent, Option<ClientId>)> = query!(db, |conn| agents::table
        .left_join(sites::table)
        .filter(agents::id.eq(Bind(id)))
        .select((Agent::as_select(), sites::client_id.nullable()))
        .first(conn)
        .await
        .optional())?;
    Ok(found.map(|(agent, client_id)| {
        let place = Place {
            client_id,
            site_id: agent.site_id,
        };
        (agent, place)
    }))
}

/// Finds an agent by the SHA-256 of its own key.
pub async fn by_key_hash(db: &Db, hash: &[u8; 32]) -> Result<Option<Agent>, DbError> {
    let hash = *hash;
    query!(db, |conn| agents::table
        .filter(agents::key_hash.eq(Some(hash.as_slice())))
        .select(Agent::as_select())
        .first(conn)
        .await
        .optional())
}

/// Finds a site's agent by the hardware's identity.
pub async fn by_site_and_device(
    db: &Db,
    site_id: SiteId,
    device_id: &str,
) -> Result<Option<Agent>, DbError> {
    let device_id = device_id.to_owned();
    query!(db, |conn| agents::table
        .filter(agents::site_id.eq(Bind(site_id)))
        .filter(agents::device_id.eq(&device_id))
        .select(Agent::as_select())
        .first(conn)
        .await
        .optional())
}

/// Gives an agent another key, which counts as unused; `false` where there is no such agent.
pub async fn replace_key(
    db: &Db,
    id: AgentId,
    key_hash: Option<[u8; 32]>,
    nonce_hash: Option<[u8; 32]>,
) -> Result<bool, DbError> {
    let at = Bind(now());
    exec!(db, |conn| diesel::update(agents::table.find(Bind(id)))
        .set((
            agents::key_hash.eq(key_hash.as_ref().map(<[u8; 32]>::as_slice)),
            agents::enrollment_nonce_hash.eq(nonce_hash.as_ref().map(<[u8; 32]>::as_slice)),
            agents::key_used_at.eq(None::<Bind<DateTime<Utc>>>),
            agents::updated_at.eq(at),
        ))
        .execute(conn)
        .await)
    .map(|changed| changed > 0)
}

/// Notes that an agent used its own key; only the first time counts.
pub async fn mark_key_used(db: &Db, id: AgentId, at: DateTime<Utc>) -> Result<(), DbError> {
    exec!(db, |conn| diesel::update(
        agents::table
            .find(Bind(id))
            .filter(agents::key_used_at.is_null())
    )
    .set(agents::key_used_at.eq(Bind(at)))
    .execute(conn)
    .await)
    .map(|_| ())
}

/// Deletes an agent and all that belongs to it but the audit; `false` where there is none.
pub async fn delete(db: &Db, id: AgentId) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::delete(agents::table.find(Bind(id)))
        .execute(conn)
        .await)
    .map(|deleted| deleted > 0)
}

/// Moves an agent to a site; [`DbError::Duplicate`] where that site has its device,
/// [`DbError::ForeignKey`] where there is no such site.
pub async fn move_to_site(db: &Db, id: AgentId, site_id: SiteId) -> Result<Option<Agent>, DbError> {
    let at = Bind(now());
    exec!(db, |conn| diesel::update(agents::table.find(Bind(id)))
        .set((agents::site_id.eq(Bind(site_id)), agents::updated_at.eq(at)))
        .returning(Agent::as_returning())
        .get_result(conn)
        .await
        .optional())
}
