//! Recordings of terminals: whose, of what, where their files are and what became of them. They
//! outlive sessions, machines and users; their ends go into the audit in the same commit.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, RecordingId, SessionId, SiteId, UserId};

use super::audit_log::{EntrySteps, NewEntry};
use super::page::{PageOf, SortKey, SortValue, lower, pattern};
use super::schema::recordings;
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::recording::RecordingState;
use gururmm_domain::scope::{Place, Scope};

const RECORDING: &str = "recording";
const DELETED: &str = "deleted";

/// A stored recording.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = recordings)]
pub struct Recording {
    /// Its id.
    pub id: RecordingId,
    /// In which session.
    pub session_id: SessionId,
    /// Of which channel.
    pub channel_id: String,
    /// On which agent.
    pub agent_id: AgentId,
    /// The agent's name at that time.
    pub agent_hostname: String,
    /// The client it was in at that time.
    pub client_id: Option<ClientId>,
    /// The site it was in at that time.
    pub site_id: Option<SiteId>,
    /// Whose terminal it was.
    pub tech_id: UserId,
    /// Whose, by e-mail address.
    pub tech_email: String,
    /// What ran in it.
    pub program: String,
    /// Whether what was typed is in it.
    pub with_input: bool,
    /// `recording`, `complete`, `interrupted`, `failed` or `deleted`.
    pub state: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The time of its last event.
    pub duration_ms: Option<i64>,
    /// The size of its file.
    pub bytes: Option<i64>,
    /// SHA-256 of its file.
    pub sha256: Option<Vec<u8>>,
    /// From here on the terminal was not recorded.
    pub gap_from_ms: Option<i64>,
    /// Why.
    pub problem: Option<String>,
    /// Its file, below the folder of recordings.
    pub path: String,
    /// Until when it is kept.
    pub keep_until: DateTime<Utc>,
}

impl Recording {
    /// Where the machine was at that time.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            client_id: self.client_id,
            site_id: self.site_id,
        }
    }

    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, _: RecordingSort) -> (SortValue, uuid::Uuid) {
        (SortValue::Time(self.started_at), self.id.0)
    }
}

/// What a new recording is made of; the fields are those of [`Recording`].
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "they are those of Recording")]
pub struct NewRecording {
    pub id: RecordingId,
    pub session_id: SessionId,
    pub channel_id: String,
    pub agent_id: AgentId,
    pub agent_hostname: String,
    pub place: Place,
    pub tech_id: UserId,
    pub tech_email: String,
    pub program: String,
    pub with_input: bool,
    pub started_at: DateTime<Utc>,
    pub path: String,
    pub keep_until: DateTime<Utc>,
}

/// How a recording ended; the fields are those of [`Recording`].
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "they are those of Recording")]
pub struct Ended {
    pub state: RecordingState,
    pub ended_at: DateTime<Utc>,
    pub duration_ms: i64,
    pub bytes: i64,
    pub sha256: Option<[u8; 32]>,
    pub gap_from_ms: Option<i64>,
    pub problem: Option<String>,
}

/// The orders of a list of recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingSort {
    /// By the time it began.
    Started,
}

impl SortKey for RecordingSort {
    const KEYS: &'static [(&'static str, Self)] = &[("started", Self::Started)];
    const NEWEST_FIRST: bool = true;

    fn is_time(self) -> bool {
        true
    }
}

/// Which recordings.
#[derive(Debug, Clone, Default)]
pub struct RecordingFilter {
    /// Only those at places within.
    pub scope: Scope,
    /// Only those of this user's terminals.
    pub tech_id: Option<UserId>,
    /// Only those on this agent.
    pub agent_id: Option<AgentId>,
    /// Only those in this session.
    pub session_id: Option<SessionId>,
    /// Only those of machines that were this client's.
    pub client_id: Option<ClientId>,
    /// Only those of machines that were at this site.
    pub site_id: Option<SiteId>,
    /// Only those whose machine's name, technician's address or program holds this.
    pub words: Option<String>,
    /// Only those of this state.
    pub state: Option<String>,
    /// Begun not before.
    pub from: Option<DateTime<Utc>>,
    /// Begun before.
    pub to: Option<DateTime<Utc>>,
}

/// Inserts a recording that begins.
pub async fn insert(db: &Db, new: NewRecording) -> Result<(), DbError> {
    exec!(db, |conn| diesel::insert_into(recordings::table)
        .values((
            recordings::id.eq(Bind(new.id)),
            recordings::session_id.eq(Bind(new.session_id)),
            recordings::channel_id.eq(&new.channel_id),
            recordings::agent_id.eq(Bind(new.agent_id)),
            recordings::agent_hostname.eq(&new.agent_hostname),
            recordings::client_id.eq(new.place.client_id.map(Bind)),
            recordings::site_id.eq(new.place.site_id.map(Bind)),
            recordings::tech_id.eq(Bind(new.tech_id)),
            recordings::tech_email.eq(&new.tech_email),
            recordings::program.eq(&new.program),
            recordings::with_input.eq(new.with_input),
            recordings::state.eq(RECORDING),
            recordings::started_at.eq(Bind(new.started_at)),
            recordings::path.eq(&new.path),
            recordings::keep_until.eq(Bind(new.keep_until)),
        ))
        .execute(conn)
        .await)
    .map(|_| ())
}

/// Ends a recording and writes it to the audit; `false` where it has ended already.
pub async fn finish(
    db: &Db,
    id: RecordingId,
    ended: Ended,
    entry: NewEntry,
) -> Result<bool, DbError> {
    transact!(db, |conn| {
        let updated = diesel::update(
            recordings::table
                .find(Bind(id))
                .filter(recordings::state.eq(RECORDING)),
        )
        .set((
            recordings::state.eq(ended.state.name()),
            recordings::ended_at.eq(Some(Bind(ended.ended_at))),
            recordings::duration_ms.eq(Some(ended.duration_ms)),
            recordings::bytes.eq(Some(ended.bytes)),
            recordings::sha256.eq(ended.sha256.as_ref().map(<[u8; 32]>::as_slice)),
            recordings::gap_from_ms.eq(ended.gap_from_ms),
            recordings::problem.eq(ended.problem.as_deref()),
        ))
        .execute(conn)
        .await?;
        if updated > 0 {
            conn.insert_entry(entry).await?;
        }
        Ok(updated > 0)
    })
}

/// Notes that the files of an ended recording are gone, with an entry for the audit where it has none
/// yet; `false` where that is noted already.
pub async fn mark_deleted(
    db: &Db,
    id: RecordingId,
    entry: Option<NewEntry>,
) -> Result<bool, DbError> {
    transact!(db, |conn| {
        let updated = diesel::update(
            recordings::table
                .find(Bind(id))
                .filter(recordings::state.ne_all([RECORDING, DELETED])),
        )
        .set(recordings::state.eq(DELETED))
        .execute(conn)
        .await?;
        if let Some(entry) = entry.filter(|_| updated > 0) {
            conn.insert_entry(entry).await?;
        }
        Ok(updated > 0)
    })
}

/// Finds a recording.
pub async fn by_id(db: &Db, id: RecordingId) -> Result<Option<Recording>, DbError> {
    query!(db, |conn| recordings::table
        .find(Bind(id))
        .select(Recording::as_select())
        .first(conn)
        .await
        .optional())
}

/// Recordings that have not ended, the oldest first.
pub async fn unfinished(
    db: &Db,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<Recording>, DbError> {
    query!(db, |conn| {
        let mut rows = recordings::table
            .filter(recordings::state.eq(RECORDING))
            .select(Recording::as_select())
            .into_boxed();
        if let Some(after) = after {
            rows = rows.filter(recordings::id.gt(Bind(after)));
        }
        rows.order(recordings::id.asc())
            .limit(limit.max(0))
            .load(conn)
            .await
    })
}

/// Ended recordings whose time is over and whose files are there.
pub async fn expired(db: &Db, at: DateTime<Utc>, limit: i64) -> Result<Vec<Recording>, DbError> {
    query!(db, |conn| recordings::table
        .filter(recordings::state.ne_all([RECORDING, DELETED]))
        .filter(recordings::keep_until.le(Bind(at)))
        .order(recordings::keep_until.asc())
        .limit(limit.max(0))
        .select(Recording::as_select())
        .load(conn)
        .await)
}

/// Lists recordings.
pub async fn list(
    db: &Db,
    filter: RecordingFilter,
    page: PageOf<RecordingSort>,
) -> Result<Vec<Recording>, DbError> {
    query!(db, |conn| {
        let mut rows = recordings::table
            .select(Recording::as_select())
            .into_boxed();
        if let Scope::Only { clients, sites } = &filter.scope {
            let clients: Vec<_> = clients.iter().copied().map(Bind).collect();
            let sites: Vec<_> = sites.iter().copied().map(Bind).collect();
            rows = rows.filter(
                recordings::client_id
                    .eq_any(clients)
                    .assume_not_null()
                    .or(recordings::site_id.eq_any(sites).assume_not_null()),
            );
        }
        if let Some(id) = filter.tech_id {
            rows = rows.filter(recordings::tech_id.eq(Bind(id)));
        }
        if let Some(id) = filter.agent_id {
            rows = rows.filter(recordings::agent_id.eq(Bind(id)));
        }
        if let Some(id) = filter.session_id {
            rows = rows.filter(recordings::session_id.eq(Bind(id)));
        }
        if let Some(id) = filter.client_id {
            rows = rows.filter(recordings::client_id.eq(Bind(id)));
        }
        if let Some(id) = filter.site_id {
            rows = rows.filter(recordings::site_id.eq(Bind(id)));
        }
        if let Some(words) = &filter.words {
            let hostname = lower(recordings::agent_hostname).like(lower(pattern(words)));
            let email = lower(recordings::tech_email).like(lower(pattern(words)));
            let program = lower(recordings::program).like(lower(pattern(words)));
            rows = rows.filter(
                hostname
                    .escape('\\')
                    .or(email.escape('\\'))
                    .or(program.escape('\\')),
            );
        }
        if let Some(state) = &filter.state {
            rows = rows.filter(recordings::state.eq(state.clone()));
        }
        if let Some(from) = filter.from {
            rows = rows.filter(recordings::started_at.ge(Bind(from)));
        }
        if let Some(to) = filter.to {
            rows = rows.filter(recordings::started_at.lt(Bind(to)));
        }
        keyset!(
            rows,
            page,
            recordings::started_at,
            recordings::id,
            RecordingId,
            time
        );
        rows.load(conn).await
    })
}
