//! Releases of the agent: what was signed, and in which channel it is offered. The programs themselves are files.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{ReleaseId, UserId};

use super::page::{PageOf, SortValue};
use super::schema::{releases, rollouts};
use super::types::{Bind, now};
use super::{Db, DbError};

/// A release for one platform, in one channel.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = releases)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// Semantic.
    pub version: String,
    /// As `linux-x86_64`.
    pub platform: String,
    /// `stable` or `beta`.
    pub channel: String,
    /// The program's SHA-256 in hexadecimal.
    pub sha256: String,
    /// The program's size.
    pub size_bytes: i64,
    /// Whether it may take the place of a newer version.
    pub downgrade: bool,
    /// The text that was signed.
    pub manifest: String,
    /// Its signature.
    pub signature: String,
    /// When it was signed.
    pub released_at: DateTime<Utc>,
    /// From when on nobody installs it.
    pub expires_at: DateTime<Utc>,
    /// Who added it; nobody where it was the command line.
    pub added_by: Option<UserId>,
    /// When.
    pub added_at: DateTime<Utc>,
}

/// What a release is made of; the fields are those of [`Release`].
#[derive(Debug, Clone)]
pub struct NewRelease {
    /// Semantic.
    pub version: String,
    /// As `linux-x86_64`.
    pub platform: String,
    /// `stable` or `beta`.
    pub channel: String,
    /// In hexadecimal.
    pub sha256: String,
    /// The program's size.
    pub size_bytes: i64,
    /// Whether it may take the place of a newer version.
    pub downgrade: bool,
    /// The text that was signed.
    pub manifest: String,
    /// Its signature.
    pub signature: String,
    /// When it was signed.
    pub released_at: DateTime<Utc>,
    /// From when on nobody installs it.
    pub expires_at: DateTime<Utc>,
    /// Who adds it.
    pub added_by: Option<UserId>,
}

/// What came of adding a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New(Release),
    /// The same program was there, and has the other manifest now.
    SignedAnew(Release),
    /// This version is another program already.
    Taken(Release),
    /// There are as many as may be.
    Full,
}

/// What came of removing a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
pub enum Removal {
    /// It is gone; whether its program belongs to another one too.
    Removed {
        /// What it was.
        release: Release,
        /// Whether the program is another release's, too.
        program_in_use: bool,
    },
    /// A rollout that is not over brings it.
    InUse,
    /// There is none.
    Missing,
}

sorts! {
    /// The orders of a list of releases.
    ReleaseSort, newest first: true {
        /// By the time they were added.
        Added = "added" (time),
        /// By the text of the version, which is not the order of versions.
        Version = "version" (text),
    }
}

impl Release {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: ReleaseSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            ReleaseSort::Added => SortValue::Time(self.added_at),
            ReleaseSort::Version => SortValue::Text(self.version.clone()),
        };
        (value, self.id.0)
    }
}

/// Which releases to list.
#[derive(Debug, Clone, Default)]
pub struct ReleaseFilter {
    /// Those of this channel.
    pub channel: Option<String>,
    /// Those for this platform.
    pub platform: Option<String>,
    /// Those of this version.
    pub version: Option<String>,
}

/// Adds a release unless there are `most`. The same program again, as it is signed anew when it has expired,
/// takes the place of the old row.
pub async fn add(db: &Db, new: NewRelease, most: i64) -> Result<Added, DbError> {
    let (id, at) = (Bind(ReleaseId::generate()), Bind(now()));
    transact!(db, |conn| {
        let known: Vec<Release> = releases::table
            .filter(releases::version.eq(&new.version))
            .filter(releases::platform.eq(&new.platform))
            .select(Release::as_select())
            .load(conn)
            .await?;
        if let Some(other) = known.iter().find(|known| known.sha256 != new.sha256) {
            return Ok(Added::Taken(other.clone()));
        }
        if let Some(same) = known.iter().find(|known| known.channel == new.channel) {
            let anew = diesel::update(releases::table.find(Bind(same.id)))
                .set((
                    releases::manifest.eq(&new.manifest),
                    releases::signature.eq(&new.signature),
                    releases::downgrade.eq(new.downgrade),
                    releases::released_at.eq(Bind(new.released_at)),
                    releases::expires_at.eq(Bind(new.expires_at)),
                ))
                .returning(Release::as_returning())
                .get_result(conn)
                .await?;
            return Ok(Added::SignedAnew(anew));
        }
        let count: i64 = releases::table.count().get_result(conn).await?;
        if count >= most {
            return Ok(Added::Full);
        }
        let added = diesel::insert_into(releases::table)
            .values((
                releases::id.eq(id),
                releases::version.eq(&new.version),
                releases::platform.eq(&new.platform),
                releases::channel.eq(&new.channel),
                releases::sha256.eq(&new.sha256),
                releases::size_bytes.eq(new.size_bytes),
                releases::downgrade.eq(new.downgrade),
                releases::manifest.eq(&new.manifest),
                releases::signature.eq(&new.signature),
                releases::released_at.eq(Bind(new.released_at)),
                releases::expires_at.eq(Bind(new.expires_at)),
                releases::added_by.eq(new.added_by.map(Bind)),
                releases::added_at.eq(at),
            ))
            .returning(Release::as_returning())
            .get_result(conn)
            .await?;
        Ok(Added::New(added))
    })
}

/// Finds a release.
pub async fn by_id(db: &Db, id: ReleaseId) -> Result<Option<Release>, DbError> {
    query!(db, |conn| releases::table
        .find(Bind(id))
        .select(Release::as_select())
        .first(conn)
        .await
        .optional())
}

/// Whether this program is a release's.
pub async fn is_program(db: &Db, sha256: String) -> Result<bool, DbError> {
    let count: i64 = query!(db, |conn| releases::table
        .filter(releases::sha256.eq(&sha256))
        .count()
        .get_result(conn)
        .await)?;
    Ok(count > 0)
}

/// All releases of a filter, the newest added first: there are few.
pub async fn all(db: &Db, filter: ReleaseFilter) -> Result<Vec<Release>, DbError> {
    let page = PageOf {
        sort: ReleaseSort::Added,
        descending: true,
        after: None,
        limit: i64::MAX,
    };
    list(db, filter, page).await
}

/// Lists releases.
pub async fn list(
    db: &Db,
    filter: ReleaseFilter,
    page: PageOf<ReleaseSort>,
) -> Result<Vec<Release>, DbError> {
    query!(db, |conn| {
        let mut rows = releases::table.select(Release::as_select()).into_boxed();
        if let Some(channel) = &filter.channel {
            rows = rows.filter(releases::channel.eq(channel.clone()));
        }
        if let Some(platform) = &filter.platform {
            rows = rows.filter(releases::platform.eq(platform.clone()));
        }
        if let Some(version) = &filter.version {
            rows = rows.filter(releases::version.eq(version.clone()));
        }
        match page.sort {
            ReleaseSort::Added => {
                keyset!(
                    rows,
                    page,
                    releases::added_at,
                    releases::id,
                    ReleaseId,
                    time
                );
            }
            ReleaseSort::Version => {
                keyset!(rows, page, releases::version, releases::id, ReleaseId, text);
            }
        }
        rows.load(conn).await
    })
}

/// Removes a release that no open rollout brings.
pub async fn remove(db: &Db, id: ReleaseId) -> Result<Removal, DbError> {
    transact!(db, |conn| {
        let found: Option<Release> = releases::table
            .find(Bind(id))
            .select(Release::as_select())
            .first(conn)
            .await
            .optional()?;
        let Some(release) = found else {
            return Ok(Removal::Missing);
        };
        let rolled_out: i64 = rollouts::table
            .filter(rollouts::version.eq(&release.version))
            .filter(rollouts::channel.eq(&release.channel))
            .filter(rollouts::ended_at.is_null())
            .count()
            .get_result(conn)
            .await?;
        if rolled_out > 0 {
            return Ok(Removal::InUse);
        }
        diesel::delete(releases::table.find(Bind(id)))
            .execute(conn)
            .await?;
        let others: i64 = releases::table
            .filter(releases::sha256.eq(&release.sha256))
            .count()
            .get_result(conn)
            .await?;
        Ok(Removal::Removed {
            release,
            program_in_use: others > 0,
        })
    })
}
